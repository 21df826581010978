"""Convert BM-BronchoLC to the common layout; see docs/datasets.md."""

import sys

from mcdrl_lab.data.converters.convert_command import run_tool
from mcdrl_lab.data.converters.sources.bm_broncholc import BM_BRONCHOLC

if __name__ == '__main__':
    sys.exit(run_tool(BM_BRONCHOLC))
