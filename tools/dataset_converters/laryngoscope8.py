"""Convert Laryngoscope8 to the common layout; see docs/datasets.md."""

import sys

from mcdrl_mmseg.datasets.converters.commands import run_tool
from mcdrl_mmseg.datasets.converters.sources.laryngoscope8 import LARYNGOSCOPE8

if __name__ == '__main__':
    sys.exit(run_tool(LARYNGOSCOPE8))
