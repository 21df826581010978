"""Runs a Python program in a fork of a process that has imported what takes long.

Its arguments: the folder to run in, and a command line without the interpreter. As by
an interpreter of its own the program is ``__main__``, finds modules by ``PYTHONPATH``
and ends as it likes.
"""

import os
import runpy
import sys


def main(arguments):
    """Run it; a program that ends without a code gives 0."""
    folder, *command = arguments
    os.chdir(folder)
    named = filter(None, os.environ.get('PYTHONPATH', '').split(os.pathsep))
    sys.path[:0] = named
    try:
        if command[0] == '-m':
            sys.argv = command[1:]
            runpy.run_module(command[1], run_name='__main__', alter_sys=True)
        else:
            sys.argv = command
            sys.path.insert(0, os.path.dirname(command[0]))
            runpy.run_path(command[0], run_name='__main__')
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    return 0
