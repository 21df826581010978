"""Convert EndoTect or HyperKvasir to the common layout; see docs/datasets.md."""

import sys

from mcdrl_lab.data.converters.convert_command import run_tool
from mcdrl_lab.data.converters.sources.endotect import ENDOTECT

if __name__ == '__main__':
    sys.exit(run_tool(ENDOTECT))
