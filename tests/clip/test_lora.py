"""Low-rank adaptation (LoRA) of a tower's blocks."""

import copy
import json

import pytest
import torch
from mmengine.runner.checkpoint import load_state_dict
from safetensors.torch import save_file
from torch import nn
from torch.testing import assert_close

from mcdrl_mmseg.clip.lora import LowRank, add_lora, merge_lora, plain_key
from mcdrl_mmseg.clip.weights import CLIPWeightsError
from mcdrl_mmseg.models import CLIPVisionBackbone

VIT = 'mcdrl-tiny-vit'
TIMM = ('vit_tiny_patch16_224', 'eva02_tiny_patch14_224', 'convnext_tiny')


@pytest.fixture(autouse=True)
def _seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope='module')
def timm_names(tmp_path_factory) -> dict[str, str]:
    """timm's name -> name of a folder that describes a CLIP with this tower."""
    names = {}
    for name in TIMM:
        folder = tmp_path_factory.mktemp(name)
        vision = dict(timm_model_name=name, timm_proj='linear', image_size=224)
        config = dict(embed_dim=16, vision_cfg=vision, text_cfg={})
        (folder / 'open_clip_config.json').write_text(json.dumps(config))
        names[name] = f'local-dir:{folder}'
    return names


@pytest.fixture(params=[VIT, *TIMM])
def case(request, timm_names) -> dict:
    """Arguments of a backbone, with the LoRA targets that its tower has."""
    name = timm_names.get(request.param, request.param)
    targets = (
        ['mlp'] if request.param == 'convnext_tiny' else ['q', 'k', 'v', 'out', 'mlp']
    )
    mode = 'vanilla' if request.param == 'convnext_tiny' else 'sclip'
    return dict(
        model_name=name, dense_mode=mode, lora=dict(rank=2, alpha=4, targets=targets)
    )


def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def frozen_twin(adapted: CLIPVisionBackbone, case: dict) -> CLIPVisionBackbone:
    twin = CLIPVisionBackbone(**{**case, 'lora': None}, frozen=True)
    state = {plain_key(key): value for key, value in adapted.state_dict().items()}
    state.pop(None, None)
    twin.load_state_dict(state, strict=True)
    return twin


def shake(model: nn.Module) -> None:
    for part in model.modules():
        if isinstance(part, LowRank):
            nn.init.normal_(part.up, std=0.1)


def test_a_weight_changes_by_alpha_over_rank_times_b_a():
    change = LowRank((2, 3), 1, [0], rank=1, alpha=3)
    with torch.no_grad():
        change.down.copy_(torch.tensor([[[1.0, 2.0, 0.0]]]))
        change.up.copy_(torch.tensor([[[1.0], [10.0]]]))
    expected = torch.tensor([[4.0, 7.0, 1.0], [31.0, 61.0, 1.0]])
    assert_close(change(torch.ones(2, 3)), expected)


def test_only_the_named_parts_of_stacked_weights_change():
    change = LowRank((6, 3), 3, [0, 2], rank=1, alpha=1)
    nn.init.ones_(change.up)
    nn.init.ones_(change.down)
    rows = change(torch.zeros(6, 3))[:, 0].tolist()
    assert rows == [1, 1, 0, 0, 1, 1]


@pytest.mark.parametrize('training', [True, False])
def test_a_freshly_adapted_tower_equals_the_frozen_one_bit_for_bit(case, training):
    adapted = CLIPVisionBackbone(**case).train(training)
    frozen = frozen_twin(adapted, case).train(training)
    with torch.no_grad():
        pairs = zip(adapted(images()), frozen(images()))
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_only_lora_weights_are_trained_and_all_of_them_get_gradients(case):
    backbone = CLIPVisionBackbone(**case).train()
    shake(backbone)
    names = {n for n, p in backbone.named_parameters() if p.requires_grad}
    assert names
    assert all(name.rpartition('.')[2] in ('up', 'down') for name in names)
    sum(out.square().mean() for out in backbone(images())).backward()
    got = {n for n, p in backbone.named_parameters() if p.grad is not None}
    assert got == names


def test_merging_keeps_the_output_and_restores_the_keys_of_the_plain_tower(case):
    adapted = CLIPVisionBackbone(**case).eval()
    shake(adapted)
    with torch.no_grad():
        before = adapted(images())
        merge_lora(adapted)
        after = adapted(images())
    for ours, theirs in zip(after, before):
        assert_close(ours, theirs)
    plain = CLIPVisionBackbone(**{**case, 'lora': None}, frozen=True).eval()
    with torch.no_grad():
        assert not torch.allclose(plain(images())[-1], after[-1], atol=1e-3)
        plain.load_state_dict(adapted.state_dict(), strict=True)
        assert_close(plain(images())[-1], after[-1])


def test_merging_a_copy_leaves_the_adapted_tower_unchanged():
    adapted = CLIPVisionBackbone(VIT, lora=dict(rank=2)).eval()
    shake(adapted)
    keys = adapted.state_dict().keys()
    with torch.no_grad():
        before = adapted(images())
        merge_lora(copy.deepcopy(adapted))
        assert torch.equal(adapted(images())[-2], before[-2])
    assert adapted.state_dict().keys() == keys


def test_a_checkpoint_holds_the_tower_and_the_lora_weights(case):
    adapted = CLIPVisionBackbone(**case).eval()
    shake(adapted)
    other = CLIPVisionBackbone(**case).eval()
    other.load_state_dict(adapted.state_dict(), strict=True)
    with torch.no_grad():
        assert torch.equal(other(images())[-2], adapted(images())[-2])


def test_pretrained_clip_weights_are_loaded_into_an_adapted_tower(tiny_clips, tmp_path):
    path = tmp_path / 'clip.safetensors'
    save_file(tiny_clips[VIT].state_dict(), path)
    adapted = CLIPVisionBackbone(VIT, str(path), lora=dict(rank=2))
    adapted.init_weights()
    plain = CLIPVisionBackbone(VIT, str(path), frozen=True)
    plain.init_weights()
    with torch.no_grad():
        assert torch.equal(adapted.eval()(images())[-2], plain.eval()(images())[-2])


@pytest.mark.parametrize('targets', [['q', 'v'], ['k'], ['out'], ['mlp']])
def test_only_the_named_targets_are_adapted(targets):
    tower = CLIPVisionBackbone(VIT, lora=dict(rank=2, targets=targets)).tower
    parts = {
        name.partition('.parametrizations')[0].rpartition('.')[2]: part.parts
        for name, part in tower.named_modules()
        if isinstance(part, LowRank)
    }
    expected = {
        'q': {'attn': (0, 2)},
        'k': {'attn': (1,)},
        'out': {'out_proj': (0,)},
        'mlp': {'c_fc': (0,), 'c_proj': (0,)},
    }
    assert parts == expected[targets[0]]


@pytest.mark.parametrize(
    ('lora', 'message'),
    [
        (dict(rank=0), 'rank=0 must be at least 1'),
        (dict(targets=['q', 'w']), "'w'"),
        (dict(targets=[]), 'one or more of'),
    ],
)
def test_invalid_lora_options_are_errors(lora, message):
    with pytest.raises(ValueError, match=message):
        CLIPVisionBackbone(VIT, lora=lora)


@pytest.mark.parametrize('load', [load_state_dict, nn.Module.load_state_dict])
def test_training_with_lora_can_start_from_a_checkpoint_without_lora(load, case):
    """MMEngine loads what fits and only logs that the adapted weights do not."""
    adapted = CLIPVisionBackbone(**case)
    plain = CLIPVisionBackbone(**{**case, 'lora': None})
    expected = [output.detach() for output in plain.eval()(images())]
    outer = nn.ModuleDict({'backbone': adapted})
    load(outer, nn.ModuleDict({'backbone': plain}).state_dict(), strict=False)
    assert_close(adapted.eval()(images()), tuple(expected), rtol=0, atol=0)


@pytest.mark.parametrize('lora', [None, dict(rank=3), dict(rank=2, targets=['mlp'])])
def test_lora_weights_without_a_matching_target_are_an_error_and_not_dropped(lora):
    state = CLIPVisionBackbone(VIT, lora=dict(rank=2)).state_dict()
    other = CLIPVisionBackbone(VIT, lora=lora)
    message = (
        r'LoRA weights that do not fit .* example tower\..*Give CLIPVisionBackbone'
    )
    with pytest.raises(CLIPWeightsError, match=message):
        load_state_dict(other, state)


def test_lora_weights_trained_with_another_alpha_are_an_error_and_not_rescaled():
    state = CLIPVisionBackbone(VIT, lora=dict(rank=2, alpha=6)).half().state_dict()
    load_state_dict(CLIPVisionBackbone(VIT, lora=dict(rank=2, alpha=6)), state)
    other = CLIPVisionBackbone(VIT, lora=dict(rank=2))
    message = r'trained with alpha / rank = 3, but the config has 1\. Use the alpha'
    with pytest.raises(CLIPWeightsError, match=message):
        load_state_dict(other, state)


def test_lora_on_a_tower_without_blocks_is_an_error_that_lists_its_targets():
    tower = CLIPVisionBackbone('mcdrl-tiny-rn').tower
    with pytest.raises(
        ValueError, match=r"no weights for targets=\['q'\]; it has \[\]"
    ):
        add_lora(tower, targets=['q'])


@pytest.mark.parametrize('other', [dict(frozen=True), dict(frozen_stages=0)])
def test_freezing_and_lora_cannot_be_combined(other):
    with pytest.raises(ValueError, match='leave out frozen and frozen_stages'):
        CLIPVisionBackbone(VIT, lora=dict(rank=2), **other)
