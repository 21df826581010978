"""The models that are compared with that of a config."""

import copy
from pathlib import Path

import mmseg
import pytest
import torch
from torch.testing import assert_close

from mcdrl_lab.benchmarks.models import (
    BareTower,
    Subject,
    against,
    load_subject,
    with_confounders,
    with_ratio,
)
from mcdrl_lab.errors import ProtocolError
from mcdrl_mmseg.models import ConfounderDictionary

_CONFIGS = Path(__file__).resolve().parents[3] / 'configs/mcdrl'
_STOCK = 'fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py'


def dictionaries(model: torch.nn.Module) -> list[ConfounderDictionary]:
    return [m for m in model.modules() if isinstance(m, ConfounderDictionary)]


def shapes(module: torch.nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in module.state_dict().items()}


def pixels(size: int, batch: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, 3, size, size, generator=generator)


@pytest.mark.parametrize(
    ('file', 'name'),
    [
        ('mcdrl_clip-rn50_fcn_50e_paper-sites-224x224.py', 'mcdrl_clip-rn50'),
        ('mcdrl_clip-rn50_fcn_50e-lr5e-3_paper-sites.py', 'mcdrl_clip-rn50'),
        ('mcdrl_clip-rn50_fcn.py', 'mcdrl_clip-rn50'),
    ],
)
def test_the_name_of_a_config_leaves_out_schedule_and_data(tmp_path, file, name):
    (tmp_path / file).write_text("model = dict(type='EncoderDecoder')")
    subject = load_subject(str(tmp_path / file))
    assert subject.name == f'{name}_fcn'
    assert subject.cfg.model.type == 'EncoderDecoder'


@pytest.mark.skipif(
    not (Path(mmseg.__file__).parent / '.mim/configs' / _STOCK).is_file(),
    reason='this install of mmseg has no configs',
)
def test_a_config_of_an_installed_package_can_be_loaded():
    subject = load_subject(f'mmseg::{_STOCK}')
    assert subject.name == Path(_STOCK).stem
    assert subject.cfg.model.decode_head.type == 'FCNHead'


@pytest.mark.parametrize(
    'config',
    ['gone.py', 'mmseg::fcn/gone.py', 'mmseg::gone.py', 'nobody::of/this_name.py'],
)
def test_a_missing_config_is_named(config):
    with pytest.raises(
        ProtocolError, match=rf'^{config}: the config could not be read'
    ):
        load_subject(config)


def test_a_broken_config_or_one_without_a_model_is_named(tmp_path):
    (tmp_path / 'broken.py').write_text('model = dict(')
    with pytest.raises(
        ProtocolError, match=r'broken\.py: the config could not be read'
    ):
        load_subject(str(tmp_path / 'broken.py'))
    (tmp_path / 'data.py').write_text('batch_size = 4')
    with pytest.raises(
        ProtocolError, match=r'data\.py: expected a config with a model'
    ):
        load_subject(str(tmp_path / 'data.py'))


def test_a_built_model_has_different_unit_vectors_in_its_dictionary(vit):
    (dictionary,) = dictionaries(vit.build())
    assert dictionary.is_built
    for name, value in dictionary.named_buffers():
        if name.endswith('embeddings'):
            assert_close(value.norm(dim=-1), torch.ones(value.shape[:-1]))
    # All rows differ: equal entries would make the attention trivial.
    entries = dictionary.entries
    assert len(torch.unique(entries, dim=0)) == len(dictionary.prompts.confounder_names)


def test_weights_named_anywhere_in_the_config_are_not_loaded(guided):
    before = guided.cfg.model.to_dict()
    model = guided.build()
    # Loading would fail, as none of the named files exists.
    with pytest.warns(UserWarning, match='starts from random weights'):
        model.init_weights()
    assert model.backbone.clip_spec.pretrained is None
    assert guided.cfg.model.to_dict() == before


def test_fcn_head_on_the_same_tower_is_the_subject_without_intervention(vit):
    """With the same weights and gate 0, their logits are equal."""
    other = against(vit, 'FCNHead')
    assert other.name == 'same tower + FCNHead'
    assert other.cfg.model.backbone == vit.cfg.model.backbone
    own, stock = vit.build().eval(), other.build().eval()
    assert dictionaries(own) and not dictionaries(stock)
    stock.backbone.load_state_dict(own.backbone.state_dict())
    stock.decode_head.load_state_dict(own.decode_head.predictor.state_dict())
    own.decode_head.intervention.gate.fill_(0)
    with torch.no_grad():
        expected = own(pixels(64), mode='tensor')
        assert_close(stock(pixels(64), mode='tensor'), expected)


def test_fcn_head_gets_the_features_without_the_similarity_map(vit):
    cfg = copy.deepcopy(vit.cfg)
    head = cfg.model.decode_head
    width = head.predictor.in_channels
    head.similarity_map = True
    head.predictor.update(
        in_channels=[width, 1], in_index=[-2, -1], input_transform='resize_concat'
    )
    found = against(Subject('map', cfg), 'FCNHead')
    assert found.cfg.to_dict() == against(vit, 'FCNHead').cfg.to_dict()


@pytest.mark.parametrize(
    ('config', 'head', 'stages', 'widths', 'side'),
    [
        # Six blocks: after 6 n / 4 of them, rounded down, for n = 1 to 4.
        ('vit', 'SegformerHead', (0, 2, 3, 5), [192] * 4, 8),
        ('vit', 'UPerHead', (0, 2, 3, 5), [192] * 4, 8),
        ('resnet', 'SegformerHead', (0, 1, 2, 3), [64, 128, 256, 512], 16),
        ('resnet', 'UPerHead', (0, 1, 2, 3), [64, 128, 256, 512], 16),
    ],
)
def test_heads_with_four_levels_take_them_from_the_same_tower(
    request, config, head, stages, widths, side
):
    subject = request.getfixturevalue(config)
    other = against(subject, head)
    assert other.name == f'same tower + {head}'
    assert other.cfg.model.decode_head.type == head
    changed = dict(out_indices=stages, dense_mode='vanilla')
    assert other.cfg.model.backbone == {**subject.cfg.model.backbone, **changed}
    model = other.build().eval()
    assert not dictionaries(model)
    assert model.decode_head.in_channels == widths
    assert shapes(model.backbone) == shapes(subject.build().backbone)
    with torch.no_grad():
        assert model(pixels(64), mode='tensor').shape == (1, 2, side, side)


def test_making_other_subjects_does_not_change_the_original(vit):
    before = vit.cfg.model.to_dict()
    for name in ('tower', 'FCNHead', 'SegformerHead', 'UPerHead'):
        against(vit, name)
    with_ratio(vit, 0.1), with_confounders(vit, 5)
    assert vit.cfg.model.to_dict() == before


def test_fcn_head_is_refused_if_the_predictor_is_another_head(resnet):
    with pytest.raises(ProtocolError, match=r'--against FCNHead:.* is SegformerHead'):
        against(resnet, 'FCNHead')


@pytest.mark.parametrize('name', ['tower', 'FCNHead', 'SegformerHead', 'UPerHead'])
def test_comparison_on_the_same_tower_needs_a_clip_backbone(guided, name):
    message = f'--against {name} needs .*CLIPVisionBackbone.* has CLIPGuidedBackbone'
    with pytest.raises(ProtocolError, match=message):
        against(guided, name)


def test_any_other_name_is_loaded_as_a_config(guided, resnet, resnet_config):
    other = against(guided, resnet_config)
    assert (other.name, other.cfg.model) == (resnet.name, resnet.cfg.model)
    with pytest.raises(
        ProtocolError, match='SegformerHed: the config could not be read'
    ):
        against(guided, 'SegformerHed')


@pytest.mark.parametrize(('config', 'size'), [('vit', 112), ('resnet', 128)])
def test_the_bare_tower_gives_embeddings_only_at_its_own_image_size(
    request, config, size
):
    subject = against(request.getfixturevalue(config), 'tower')
    model = subject.build().eval()
    assert (subject.name, subject.bare_tower) == ('bare tower', True)
    assert isinstance(model, BareTower)
    with torch.no_grad():
        found = model(pixels(size, batch=2), mode='tensor')
        assert_close(found, model.tower(pixels(size, batch=2)), rtol=0, atol=0)
        assert found.shape == (2, 128)
        message = rf'takes only {size} x {size} pixels.*got \(64, 64\).*--size'
        with pytest.raises(ProtocolError, match=message):
            model(pixels(64))


def test_a_bare_convolutional_tower_takes_images_of_another_size_too():
    name = 'mcdrl_clip-endo-lite0_segformer_8e_endoscopy-sites-160x160.py'
    subject = load_subject(str(_CONFIGS / name))
    model = against(subject, 'tower').build().eval()
    with torch.no_grad():
        assert model(pixels(160)).shape == model(pixels(224)).shape == (1, 256)


def test_the_folded_tower_equals_the_bare_one_without_batch_norms(resnet):
    folded = against(resnet, 'folded-tower')
    assert (folded.name, folded.bare_tower) == ('bare tower, folded', True)
    models = [against(resnet, 'tower').build().eval(), folded.build().eval()]
    norms = [
        sum(isinstance(part, torch.nn.BatchNorm2d) for part in model.modules())
        for model in models
    ]
    assert norms[0] > 10 and norms[1] == 0
    with torch.no_grad():
        torch.manual_seed(0)
        seeded = against(resnet, 'tower').build().eval()(pixels(128))
        torch.manual_seed(0)
        assert_close(folded.build().eval()(pixels(128)), seeded, rtol=1e-4, atol=1e-5)


def test_folding_a_tower_without_batch_norms_is_refused(vit):
    with pytest.raises(ProtocolError, match=r'--against folded-tower.* Use tower'):
        against(vit, 'folded-tower').build()


@pytest.mark.parametrize(('ratio', 'kept'), [(1, 64), (0.25, 16), (0.1, 6)])
def test_alpha_is_the_share_of_positions_kept(vit, ratio, kept):
    """Of 8 x 8 positions: 64 pixels in patches of 8."""
    subject = with_ratio(vit, ratio)
    assert subject.name == f'alpha = {ratio}'
    model = subject.build().eval()
    with torch.no_grad():
        state = model.decode_head.intervene(model.backbone(pixels(64)))
    assert state.region_tokens.shape == (1, kept, 128)


def test_alpha_of_a_model_that_keeps_all_positions_is_refused(vit):
    cfg = copy.deepcopy(vit.cfg)
    cfg.model.decode_head.region_selector = None
    with pytest.raises(ProtocolError, match='region_selector=None and keeps all'):
        with_ratio(Subject('all', cfg), 0.5)


@pytest.mark.parametrize('count', [1, 7])
def test_the_dictionary_has_the_given_number_of_confounders(vit, count):
    subject = with_confounders(vit, count)
    assert subject.name == f'M = {count}'
    model = subject.build().eval()
    (dictionary,) = dictionaries(model)
    assert dictionary.entries.shape == (count, 128)
    assert dictionary.class_confounder_embeddings.shape == (2, count, 128)
    assert len(set(dictionary.prompts.confounder_names)) == count
    with torch.no_grad():
        assert model(pixels(64), mode='tensor').shape == (1, 2, 8, 8)


@pytest.mark.parametrize('vary', [with_ratio, with_confounders])
def test_alpha_and_number_of_confounders_are_refused_for_a_stock_head(vit, vary):
    with pytest.raises(ProtocolError, match=r'same tower \+ FCNHead has FCNHead'):
        vary(against(vit, 'FCNHead'), 1)
