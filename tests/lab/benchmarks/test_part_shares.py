"""To which part of the model the time of an operation is assigned."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.profiler import profile

from mcdrl_lab.benchmarks import part_shares
from mcdrl_lab.benchmarks.models import Subject, against, load_subject
from mcdrl_lab.benchmarks.part_shares import PARTS, labelled, shares
from mcdrl_lab.benchmarks.steps import Setting, inference_step, training_step

_SETTING = Setting(size=64, batch_size=2)


def event(name, parent=None, cpu=0, device=0, sequence=-1) -> SimpleNamespace:
    """An event of PyTorch's profiler, with the attributes that are read."""
    return SimpleNamespace(
        name=name,
        cpu_parent=parent,
        self_cpu_time_total=cpu,
        self_device_time_total=device,
        sequence_nr=sequence,
    )


def recorded_step() -> list[SimpleNamespace]:
    """A training step whose times add up to 200 on the CPU and on the device."""
    tower = event('part: tower', cpu=1, device=1000)
    selection = event('part: selection', cpu=5, device=1000)
    intervention = event('part: intervention', selection)
    predictor = event('part: predictor', cpu=2)
    losses = event('part: losses')
    # Nodes of the backward pass have the sequence numbers of forward operations.
    block = event('autograd::engine::evaluate_function: ConvBackward', None, 3, 0, 7)
    inner = event('ConvBackward', block)
    end = event('autograd::engine::evaluate_function: LossBackward', sequence=9)
    spare = event('autograd::engine::evaluate_function: Accumulate', sequence=-1)
    return [
        *(tower, selection, intervention, predictor, losses),
        *(block, inner, end, spare),
        event('aten::conv2d', tower, cpu=30, device=20, sequence=7),
        event('aten::gather', selection, cpu=15, device=5, sequence=8),
        event('aten::mm', intervention, cpu=10, device=35, sequence=8),
        event('aten::linear', predictor, cpu=20, device=10, sequence=8),
        event('aten::nll_loss', losses, cpu=10, device=30, sequence=9),
        event('aten::convolution_backward', inner, cpu=34, device=40),
        event('aten::nll_loss_backward', end, cpu=30, device=20),
        event('aten::add_', spare, cpu=5, device=10),
        event('Optimizer.step', cpu=35, device=30),
    ]


@pytest.fixture
def recorder(monkeypatch):
    """Stands for the profiler: returns ``recorded_step``, and counts the steps."""
    seen = SimpleNamespace(steps=0, recorded=0, recording=False)

    class Recorder:
        def __init__(self, activities) -> None:
            seen.activities = [activity.name for activity in activities]

        def __enter__(self):
            seen.recording = True
            return self

        def __exit__(self, *_):
            seen.recording = False

        def events(self):
            return recorded_step()

    def step() -> None:
        seen.steps += 1
        seen.recorded += seen.recording

    seen.step = step
    monkeypatch.setattr(part_shares, 'profile', Recorder)
    return seen


@pytest.fixture
def stock_model() -> nn.Module:
    model = nn.Module()
    model.backbone, model.decode_head = nn.Linear(2, 2), nn.Linear(2, 2)
    return model


def test_time_belongs_to_the_innermost_part_and_backward_time_to_its_forward(
    stock_model, recorder
):
    assert shares(stock_model, recorder.step, rounds=3) == pytest.approx(
        dict(
            tower=(1 + 30 + 3 + 34) / 200,
            selection=(5 + 15) / 200,
            intervention=10 / 200,
            predictor=(2 + 20) / 200,
            losses=(10 + 30) / 200,
            rest=(5 + 35) / 200,
        )
    )


def test_on_a_gpu_device_time_counts_and_that_of_labels_is_left_out(
    stock_model, recorder
):
    """The device time of a label repeats that of the operations inside it."""
    found = shares(stock_model, recorder.step, rounds=1, device='cuda:0')
    assert found == pytest.approx(
        dict(
            tower=(20 + 40) / 200,
            selection=5 / 200,
            intervention=35 / 200,
            predictor=10 / 200,
            losses=(30 + 20) / 200,
            rest=(10 + 30) / 200,
        )
    )
    assert recorder.activities == ['CPU', 'CUDA']


def test_the_first_step_is_not_recorded(stock_model, recorder):
    shares(stock_model, recorder.step, rounds=3)
    assert (recorder.steps, recorder.recorded) == (4, 3)
    assert recorder.activities == ['CPU']


def labels_of(subject: Subject, mode: str) -> set[str]:
    """The parts that are marked in a step."""
    model = subject.build()
    if mode == 'train':
        step = training_step(subject, model, _SETTING)
    else:
        step = inference_step(model, _SETTING)
    with labelled(model), profile() as profiler:
        step()
    names = {event.name for event in profiler.events()}
    return {name.removeprefix('part: ') for name in names if name.startswith('part: ')}


@pytest.mark.parametrize(
    ('mode', 'more'), [('inference', set()), ('train', {'losses'})]
)
def test_all_parts_of_the_method_are_marked_and_two_of_a_stock_head(vit, mode, more):
    found = labels_of(vit, mode)
    assert found == {'tower', 'selection', 'intervention', 'predictor'} | more
    stock = labels_of(against(vit, 'FCNHead'), mode)
    assert stock == {'tower', 'predictor'} | more


@pytest.mark.parametrize('decoder', [True, False])
def test_a_head_with_a_predictor_of_its_own_is_one_part(repo_root, decoder):
    """Learned prompts, with and without a decoder whose logits are added."""
    name = 'coop_clip-tiny-rn_segformer_5e_endoscopy-sites-128x128.py'
    subject = load_subject(str(repo_root / 'configs/baselines' / name))
    if not decoder:
        subject.cfg.model.decode_head.predictor = None
    assert labels_of(subject, 'inference') == {'tower', 'predictor'}


def test_parts_that_are_left_out_are_not_marked(vit):
    changed = Subject(vit.name, copy.deepcopy(vit.cfg))
    changed.cfg.model.decode_head.update(intervention=None, loss_causal=None)
    assert labels_of(changed, 'inference') == {'tower', 'selection', 'predictor'}


def test_marks_are_removed_even_after_an_error(vit):
    model = vit.build()
    marked = (model.backbone, model.decode_head, model.decode_head.predictor)
    with pytest.raises(RuntimeError, match='no memory'), labelled(model):
        assert all({'forward', 'intervene'} & set(vars(module)) for module in marked)
        raise RuntimeError('no memory')
    for module in marked:
        assert not {'forward', 'intervene', 'loss_by_feat'} & set(vars(module))


def test_marks_do_not_change_results(vit):
    model = vit.build().eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = model(images, mode='tensor')
        with labelled(model):
            assert torch.equal(model(images, mode='tensor'), expected)


def test_shares_of_a_real_step_sum_to_one_and_a_stock_head_has_no_intervention(vit):
    stock = against(vit, 'FCNHead')
    model = stock.build()
    found = shares(model, training_step(stock, model, _SETTING), rounds=1)
    assert tuple(found) == PARTS
    assert sum(found.values()) == pytest.approx(1)
    assert {part for part, share in found.items() if share == 0} == {
        'selection',
        'intervention',
    }
