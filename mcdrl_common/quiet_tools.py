"""Silences warnings that users cannot act on; the tools import this module first.

The plug-in's ``library_warnings`` lists the warnings. Child processes inherit the
setting. Programs that import the plug-in, and MMSegmentation's own tools, are not
affected.
"""

import os

QUIET = 'MCDRL_QUIET'
"""Environment variable; 0 shows all warnings."""

os.environ.setdefault(QUIET, '1')
