"""Convert Kvasir-SEG to the common layout; see docs/datasets.md."""

import sys

from mcdrl_lab.data.converters.convert_command import run_tool
from mcdrl_lab.data.converters.sources.kvasir_seg import KVASIR_SEG

if __name__ == '__main__':
    sys.exit(run_tool(KVASIR_SEG))
