"""What a training step runs: no text tower, no Python loop, no wait for the device."""

import copy
from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mcdrl_lab.benchmarks.counting import count_flops
from mcdrl_lab.benchmarks.models import (
    against,
    load_subject,
    with_confounders,
    with_ratio,
)
from mcdrl_lab.benchmarks.steps import Setting, inference_step, training_step

SETTING = Setting(size=112, batch_size=2)
# Each makes the host wait for the GPU, as it needs a value or a shape.
WAITING = ('_local_scalar_dense', 'nonzero', 'masked_select', 'equal', 'unique')


class Operations(TorchDispatchMode):
    """Counts operations by name; indexing by a mask counts as ``nonzero``."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name.startswith('index') and any(
            isinstance(i, torch.Tensor) and i.dtype == torch.bool
            for i in (args[1] if isinstance(args[1], (list, tuple)) else ())
        ):
            name = 'nonzero'
        self.counts[name] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope='module', params=['paper', 'additions'])
def subject(vit_config, request):
    result = load_subject(vit_config)
    if request.param == 'additions':
        head = result.cfg.model.decode_head
        head.update(loss_causal=None, loss_contrast=None, similarity_map=True)
        head.intervention.update(residual='orthogonal', observe_confounders=True)
        head.predictor.update(
            in_channels=[head.predictor.in_channels, 1],
            in_index=[-2, -1],
            input_transform='resize_concat',
        )
    # Adam reads its step counters, which are tensors on the host; SGD has none.
    result.cfg.optim_wrapper.optimizer = dict(type='SGD', lr=0.1)
    return result


def operations(subject, mode='train'):
    model = subject.build()
    if mode == 'train':
        step = training_step(subject, model, SETTING)
    else:
        step = inference_step(model, SETTING)
    step()
    with Operations() as found:
        step()
    return found.counts


def test_a_step_waits_for_the_device_only_as_often_as_with_a_stock_head(subject):
    """mmseg's accuracy and MMEngine's clipping wait; nothing of MCDRL does."""
    own, stock = operations(subject), operations(against(subject, 'FCNHead'))
    assert {n: own[n] for n in WAITING} == {n: stock[n] for n in WAITING}


def test_inference_does_not_wait_for_the_device(subject):
    counts = operations(subject, 'inference')
    assert sum(counts.values()) > 50
    assert not any(counts[name] for name in WAITING)


def more_classes(subject):
    changed = copy.deepcopy(subject)
    names = [f'lesion {n}' for n in range(12)]
    changed.cfg.model.decode_head.dictionary.prompts.classes = names
    return changed


@pytest.mark.parametrize('mode', ['train', 'inference'])
def test_number_of_operations_depends_on_neither_tokens_entries_nor_classes(
    subject, mode
):
    expected = sum(operations(subject, mode).values())
    for other in (with_ratio(subject, 0.1), with_confounders(subject, 5)):
        assert sum(operations(other, mode).values()) == expected
    # With more classes than labels, classes come from the metadata: other operations,
    # but hardly more.
    wide = sum(operations(more_classes(subject), mode).values())
    assert abs(wide - expected) < 10


def head_flops(subject, ratio, mode, attend_to):
    changed = with_ratio(subject, ratio)
    intervention = changed.cfg.model.decode_head.intervention
    intervention.attend_to = attend_to
    if attend_to == 'self':
        intervention.update(residual='whole', observe_confounders=False)
    model = changed.build().train(mode == 'train')
    with torch.set_grad_enabled(mode == 'train'):
        features = model.backbone(torch.randn(1, 3, 112, 112))
        return count_flops(lambda: model.decode_head(features))


@pytest.mark.parametrize('mode', ['train', 'inference'])
@pytest.mark.parametrize(
    ('attend_to', 'linear'), [('dictionary', True), ('self', False)]
)
def test_cost_of_the_head_is_linear_in_kept_positions_except_for_self_attention(
    subject, mode, attend_to, linear
):
    """12, 24 and 48 of 49 positions; attention among them is the counterexample."""
    few, more, most = (
        head_flops(subject, kept / 49, mode, attend_to) for kept in (12, 24, 48)
    )
    assert ((most - more) == 2 * (more - few)) == linear
    assert more > few


def test_a_model_has_no_text_tower_and_a_step_no_embedding_lookup(subject):
    counts = operations(subject)
    assert counts['embedding'] == 0
    names = [type(module).__name__ for module in subject.build().modules()]
    assert not any('Text' in name for name in names)


def test_forward_compiles_without_graph_breaks_to_equal_results(subject):
    model = subject.build().eval()
    images = torch.randn(1, 3, 112, 112)
    compiled = torch.compile(model, backend='eager', fullgraph=True)
    with torch.no_grad():
        expected = model(images, mode='tensor')
        result = compiled(images, mode='tensor')
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ('setting', 'tolerance'), [(dict(channels_last=True), 1e-5), (dict(amp=True), 0.05)]
)
def test_channels_last_and_mixed_precision_change_results_little(
    subject, setting, tolerance
):
    """All positions are kept: rounding could select others where similarities tie."""
    model = with_ratio(subject, 1.0).build()
    results = []
    for values in ({}, setting):
        torch.manual_seed(0)
        step = inference_step(model, Setting(size=112, **values))
        results.append(step().float())
    assert (results[0] - results[1]).abs().mean() < tolerance * results[0].std()
