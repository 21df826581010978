"""Steps of a demo: commands that a user would type, shown and run."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why and what to do."""


def say(text: str) -> None:
    """Print the headline of a step."""
    print(f'\n=== {text}', flush=True)


def run_tool(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Show a command and run it from the root of the repository.

    Args:
        arguments: A script of ``tools/`` and its arguments.
        environment: Variables beside those of this process.

    Raises:
        DemoError: The command failed.
    """
    shown = [f'{name}={shlex.quote(value)}' for name, value in environment.items()]
    print('$', *shown, 'python', shlex.join(arguments), flush=True)
    # MMEngine takes a variable that is set to nothing for one that is missing.
    own = {name: value for name, value in os.environ.items() if value}
    # Libraries of the stack warn at every import; they would bury the progress.
    quiet = {**own, **environment, 'PYTHONWARNINGS': 'ignore'}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=quiet, check=False)
    if done.returncode != 0:
        raise DemoError(
            f'{arguments[0]} failed with exit code {done.returncode}; its messages '
            'stand above. Run the command again to go on where it stopped.'
        )
