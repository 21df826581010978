"""The form of the method in configs: one for the paper's sites, one for others."""

from pathlib import Path

import pytest
from mmengine.config import Config

CONFIGS = Path(__file__).resolve().parents[2] / 'configs/mcdrl'
PAPER_SITES = sorted(CONFIGS.glob('*_paper-sites-*.py'))
# Their towers start from random weights, so their texts do not describe images.
UNTRAINED = [
    CONFIGS / f'mcdrl_clip-tiny-{model}_endoscopy-sites-128x128.py'
    for model in ('rn_segformer_5e', 'rn_segformer_overfit', 'vit_fcn_5e')
]
MIXED = CONFIGS.parent / 'mixing/mcdrl_frozen-segformer.py'
OTHERS = sorted({*CONFIGS.glob('*.py'), MIXED} - {*PAPER_SITES, *UNTRAINED})


def form(path):
    """Residual, observation, treatment of unselected positions, and loss weights."""
    head = Config.fromfile(path).model.decode_head
    intervention = head.intervention
    return (
        intervention.get('residual', 'whole'),
        intervention.get('observe_confounders', False),
        head.get('unselected', 'keep'),
        head.loss_causal and head.loss_causal.loss_weight,
        head.loss_contrast and head.loss_contrast.loss_weight,
    )


@pytest.mark.parametrize('path', OTHERS, ids=lambda path: path.stem)
def test_configs_observe_confounders_and_leave_out_both_losses(path):
    # The span of the texts can be removed only from CLIP's own map.
    residual = 'orthogonal' if '_clip-' in path.stem else 'whole'
    assert form(path) == (residual, True, 'keep', None, None)


@pytest.mark.parametrize('path', PAPER_SITES, ids=lambda path: path.stem)
def test_configs_of_the_sites_of_the_paper_have_the_form_of_the_paper(path):
    assert form(path) == ('whole', False, 'zero', 0.5, 0.1)


@pytest.mark.parametrize('path', UNTRAINED, ids=lambda path: path.stem)
def test_configs_of_untrained_towers_have_the_losses_and_residual_of_the_paper(path):
    assert form(path) == ('whole', False, 'keep', 0.5, 0.1)


def test_the_base_paper_form_gives_a_config_the_form_of_the_paper(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(f"""
_base_ = [
    {str(CONFIGS / 'mcdrl_clip-vit-b16_fcn_50e_endoscopy-sites-224x224.py')!r},
    {str(CONFIGS.parent / '_base_/paper_form.py')!r},
]
model = dict(decode_head=_base_.paper_form)
""")
    assert form(path) == ('whole', False, 'zero', 0.5, 0.1)
