import os
from pathlib import Path

import pytest

import mcdrl_mmseg  # noqa: F401  (registers; makes torchvision importable)

REPO_ROOT = Path(__file__).resolve().parents[1]
DATA_FOLDER = Path('shared/data/endoscopy_sites')


@pytest.fixture(scope='session')
def repo_root() -> Path:
    return REPO_ROOT


@pytest.fixture(scope='session')
def data_root() -> Path:
    """The six real sites; tests that ask for it are skipped where it is absent."""
    named = os.environ.get('MCDRL_DATA_ROOT')
    root = (Path(named) if named else REPO_ROOT.parent / DATA_FOLDER).resolve()
    if not (root / 'manifest.csv').is_file():
        pytest.skip(f'real endoscopy images not found in {root}: set MCDRL_DATA_ROOT')
    return root
