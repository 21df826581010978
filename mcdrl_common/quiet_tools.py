"""Imported first by the tools: asks for silence of what nobody can act on.

The plug-in's ``library_warnings`` says of what. Child processes inherit the setting; a
program that imports the plug-in itself, and MMSegmentation's own tools, do not have it.
"""

import os

QUIET = 'MCDRL_QUIET'
"""Environment variable; set to 0 it lets everything be heard."""

os.environ.setdefault(QUIET, '1')
