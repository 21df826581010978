"""Test a checkpoint; the command line is that of MMSegmentation's tools/test.py."""

import sys

import mcdrl_common.quiet_tools  # noqa: F401  (before what it silences)
from mcdrl_mmseg.apis.training import test_main

if __name__ == '__main__':
    sys.exit(test_main())
