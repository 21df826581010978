"""Convert Vocal folds to the common layout; see docs/datasets.md."""

import sys

from mcdrl_mmseg.datasets.converters.commands import run_tool
from mcdrl_mmseg.datasets.converters.sources.vocal_folds import VOCAL_FOLDS

if __name__ == '__main__':
    sys.exit(run_tool(VOCAL_FOLDS))
