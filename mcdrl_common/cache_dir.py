"""The cache folder, for text embeddings and facts of files."""

from __future__ import annotations

import os
from pathlib import Path

_DEFAULT_DIR = '~/.cache/mcdrl_mmseg'


def default_cache_dir() -> Path:
    """``MCDRL_CACHE_DIR``, or else a folder in the user's cache folder."""
    return Path(os.environ.get('MCDRL_CACHE_DIR', _DEFAULT_DIR)).expanduser()
