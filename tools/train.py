"""Train a segmentor; the command line is that of MMSegmentation's tools/train.py."""

import sys

import mcdrl_common.quiet_tools  # noqa: F401  (before what it silences)
from mcdrl_mmseg.apis.training import train_main

if __name__ == '__main__':
    sys.exit(train_main())
