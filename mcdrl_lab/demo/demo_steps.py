"""Steps of a demo: commands that a user would type, shown and run."""

from __future__ import annotations

import os
import shlex
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from mcdrl_lab import commands
from mcdrl_lab.plans.child_process import environment_variables


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why and what to do."""


def print_heading(text: str) -> None:
    """Print the headline of a step."""
    print(f'\n=== {text}', flush=True)


def find_config(name: str) -> str:
    """Path of one of the configs, of the repository or of an installed wheel.

    Args:
        name: Path below ``configs``.

    Returns:
        The path, relative if the file is below the working folder.
    """
    spec = find_spec('mcdrl_mmseg')
    assert spec is not None and spec.origin is not None
    package = Path(spec.origin).parent
    path = package.parent / 'configs' / name
    if not path.is_file():
        path = package / '.mim' / 'configs' / name
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def run_command(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Show a command of the lab, and run it here.

    Args:
        arguments: Its name and arguments.
        environment: Variables in addition to those of this process.

    Raises:
        DemoError: The command failed.
    """
    _show(arguments, environment)
    with environment_variables(_quiet(environment)), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        code = commands.main(arguments)
    _check(arguments[0], code)


def _show(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    shown = [f'{name}={shlex.quote(value)}' for name, value in environment.items()]
    print('$', *shown, 'python -m mcdrl_lab', shlex.join(arguments), flush=True)


def _quiet(environment: Mapping[str, str]) -> dict[str, str]:
    # Without empty variables: MMEngine refuses them as missing.
    own = {name: value for name, value in os.environ.items() if value}
    # Libraries warn at every import; the warnings would bury the progress.
    return {**own, **environment, 'PYTHONWARNINGS': 'ignore'}


def _check(name: str, code: int | None) -> None:
    if code != 0:
        raise DemoError(
            f'{name} failed with exit code {code}; its messages are above. Run the '
            'command again to continue where it stopped.'
        )
