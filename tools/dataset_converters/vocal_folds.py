"""Convert Vocal folds to the common layout; see docs/datasets.md."""

import sys

from mcdrl_lab.data.converters.convert_command import run_tool
from mcdrl_lab.data.converters.sources.vocal_folds import VOCAL_FOLDS

if __name__ == '__main__':
    sys.exit(run_tool(VOCAL_FOLDS))
