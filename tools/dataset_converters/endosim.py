"""Draw the simulated benchmark EndoSim; see docs/endosim.md."""

import sys

from mcdrl_lab.simulation.endosim_command import run_tool

if __name__ == '__main__':
    sys.exit(run_tool())
