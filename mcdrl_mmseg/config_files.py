"""Paths of the configs inside the installed package."""

from __future__ import annotations

from pathlib import Path

_CONFIGS = Path(__file__).parent / '.mim' / 'configs'


def config_path(name: str) -> str:
    """Path of one of the package's configs, for ``_base_`` of a config elsewhere.

    ``_base_ = [__import__('mcdrl_mmseg').config_path('_base_/mcdrl.py')]`` works with
    every tool, MMSegmentation's own included. A prefix as in ``mmseg::`` would not
    work: MMEngine only knows the prefixes of a fixed table.

    Args:
        name: Path below ``configs``, as ``mcdrl/NAME.py``.

    Returns:
        Absolute path.

    Raises:
        FileNotFoundError: No such config, or the package is not installed.
    """
    if not _CONFIGS.is_dir():
        raise FileNotFoundError(
            f'The folder of configs {_CONFIGS} does not exist. Install mcdrl_mmseg: '
            'pip install its wheel, or pip install -e its source folder.'
        )
    path = _CONFIGS / name
    if not path.is_file():
        raise FileNotFoundError(
            f'mcdrl_mmseg has no config {name!r}. Choose a config from the folders '
            f'in {_CONFIGS}.'
        )
    return str(path)
