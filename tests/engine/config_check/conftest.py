import copy

import pytest
from mmengine.config import Config

_MCDRL = 'mcdrl/mcdrl_clip-tiny-rn_fcn_6e_endosim-128x128.py'
_COOP = 'baselines/coop_clip-tiny-rn_segformer_5e_endoscopy-sites-128x128.py'
_GUIDED = 'mcdrl/mcdrl_mit-b0_segformer_50e_endoscopy-sites-224x224.py'


@pytest.fixture(scope='session')
def shipped(repo_root):
    """Function from a name to a shipped config, fresh for every call."""
    paths = {'mcdrl': _MCDRL, 'coop': _COOP, 'guided': _GUIDED}
    loaded = {
        name: Config.fromfile(repo_root / 'configs' / path)
        for name, path in paths.items()
    }
    return lambda name: copy.deepcopy(loaded[name])
