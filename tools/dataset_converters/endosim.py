"""Draw the simulated benchmark EndoSim; see docs/endosim.md."""

import sys

from mcdrl_mmseg.datasets.endosim.command import run_tool

if __name__ == '__main__':
    sys.exit(run_tool())
