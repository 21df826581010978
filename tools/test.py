"""Test a checkpoint; the command line is that of MMSegmentation's tools/test.py."""

import sys

from mcdrl_mmseg.apis.training import test_main

if __name__ == '__main__':
    sys.exit(test_main())
