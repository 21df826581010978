"""``python -m mcdrl_lab COMMAND``."""

import sys

import mcdrl_common.quiet_tools  # noqa: F401  (before what it silences)

from .commands import main

if __name__ == '__main__':
    sys.exit(main())
