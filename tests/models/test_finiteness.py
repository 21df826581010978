"""Outputs, losses and gradients stay finite for the extreme inputs of hypothesis."""

import contextlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mcdrl_mmseg.models import (
    CausalAlignmentLoss,
    CausalIntervention,
    CLIPContrastiveLoss,
    CLIPRegionSelector,
    CLIPVisionBackbone,
)
from mcdrl_mmseg.models.causal_intervention import (
    APPROXIMATIONS,
    remove_confounder_span,
)

SOME = settings(max_examples=40, deadline=None, derandomize=True, database=None)
LESIONS = ('polyp', 'cyst', 'tumour')
HALF_TYPES = (torch.float16, torch.bfloat16)

sizes = st.integers(1, 4)
seeds = st.integers(0, 2**31 - 1)
# Zero, almost zero, usual, near the limit of float16 and far beyond it.
scales = st.sampled_from([0.0, 1e-30, 1.0, 6e4, 1e8])
precisions = st.sampled_from([None, *HALF_TYPES])


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def normal(seed: int, *shape: int, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator) * scale


def directions(seed: int, *shape: int, alike: bool = False) -> torch.Tensor:
    """Unit vectors; ``alike`` ones are all equal, as of texts with the same meaning."""
    values = normal(seed, *shape)
    if alike:
        values = values[..., :1, :].expand(shape).clone()
    return torch.nn.functional.normalize(values, dim=-1)


def autocast(precision):
    if precision is None:
        return contextlib.nullcontext()
    return torch.autocast('cpu', precision)


def assert_finite(**values) -> None:
    for name, value in values.items():
        assert value is not None, name
        assert torch.isfinite(value).all(), name


def assert_trainable(loss: torch.Tensor, *inputs: torch.Tensor) -> None:
    """A finite float32 loss with finite gradients."""
    assert loss.dtype == torch.float32
    assert_finite(loss=loss)
    loss.backward()
    assert_finite(**{f'gradient {n}': value.grad for n, value in enumerate(inputs)})


@pytest.mark.reliability(
    'numerics',
    'region selection: any shape, 1 x 1 maps, N = 1, zero features, beyond float16',
)
@SOME
@given(
    seed=seeds,
    batch=sizes,
    width=sizes,
    height=st.integers(1, 6),
    classes=sizes,
    ratio=st.floats(1e-6, 1),
    scale=scales,
    precision=precisions,
    grid=st.none() | st.tuples(sizes, sizes),
)
def test_region_selection_is_finite_and_keeps_distinct_positions(
    seed, batch, width, height, classes, ratio, scale, precision, grid
):
    dense = normal(seed, batch, 8, height, width, scale=scale)
    selector = CLIPRegionSelector(ratio)
    with autocast(precision):
        selection = selector(dense, directions(seed, classes, 8), grid)
    assert selection.similarity.dtype == torch.float32
    assert_finite(similarity=selection.similarity)
    assert selection.similarity.abs().max() <= 1 + 1e-5
    rows, columns = grid or (height, width)
    count = max(1, int(ratio * rows * columns + 0.5))
    assert selection.indices.shape == (batch, count)
    # Positions of the grid, and none twice.
    assert selection.indices.max() < rows * columns
    assert all(len(set(kept.tolist())) == count for kept in selection.indices)


@st.composite
def interventions(draw) -> CausalIntervention:
    approximation = draw(st.sampled_from(APPROXIMATIONS))
    attend_to = 'dictionary'
    if approximation == 'attention':
        attend_to = draw(st.sampled_from(['dictionary', 'self']))
    residuals = ['whole'] if attend_to == 'self' else ['whole', 'orthogonal']
    with torch.random.fork_rng():
        torch.manual_seed(draw(seeds))
        intervention = CausalIntervention(
            embed_dims=8,
            dictionary_dims=8,
            num_layers=draw(st.integers(1, 2)),
            num_heads=draw(st.sampled_from([1, 2, 4])),
            approximation=approximation,
            num_samples=draw(st.integers(1, 3)),
            attend_to=attend_to,
            residual=draw(st.sampled_from(residuals)),
            observe_confounders=attend_to == 'dictionary' and draw(st.booleans()),
            gate=draw(st.sampled_from([0.0, 0.5, 1.0])),
        )
    return intervention.train(draw(st.booleans()))


@pytest.mark.reliability(
    'numerics',
    'intervention: all approximations and residuals, gate 0, confounders alike, '
    'impossible ones, zero features, beyond float16',
)
@SOME
@given(
    intervention=interventions(),
    seed=seeds,
    batch=sizes,
    kept=sizes,
    confounders=st.integers(1, 5),
    alike=st.booleans(),
    certain=st.booleans(),
    scale=scales,
    precision=precisions,
)
def test_the_intervention_and_its_gradients_are_finite(
    intervention, seed, batch, kept, confounders, alike, certain, scale, precision
):
    tokens = normal(seed, batch, kept, 8, scale=scale).requires_grad_()
    entries = directions(seed + 1, confounders, 8, alike=alike)
    prior = torch.full((confounders,), 1 / confounders)
    if certain:  # P(z) = 0 for all others
        prior = torch.eye(confounders)[0]
    scores = None
    if intervention.observed is not None:
        scores = normal(seed + 2, batch, confounders)
    torch.manual_seed(seed)
    with autocast(precision):
        intervened = intervention(tokens, entries, prior, scores)
        gated = intervention.gated(tokens, intervened)
    assert_finite(intervened=intervened, gated=gated)
    if intervention.gate == 0:
        assert torch.equal(gated, tokens)
    # In a head, too, everything that follows is divided by the size of the features.
    gated.float().div(max(scale, 1)).square().mean().backward()
    assert_finite(gradient=tokens.grad)
    for name, parameter in intervention.named_parameters():
        if parameter.grad is not None:
            assert_finite(**{name: parameter.grad})
    with torch.no_grad(), autocast(precision):
        if intervention.attend_to == 'dictionary':
            weights = intervention.attention_weights(tokens, entries, prior)
            assert_finite(
                weights=weights, each=intervention.intervene_on(tokens, entries)
            )
            assert (weights.float().sum(dim=2) - 1).abs().max() < 0.05


@pytest.mark.parametrize('count', [1, 2, 5])
def test_the_span_of_identical_confounders_removes_nothing(count):
    tokens = normal(0, 2, 3, 8)
    entries = directions(1, count, 8, alike=True)
    assert torch.equal(remove_confounder_span(tokens, entries), tokens)


@st.composite
def present(draw, batch: int, classes: int) -> torch.Tensor:
    """Which classes each image holds; rows without any are likely."""
    row = st.just([False] * classes)
    row |= st.lists(st.booleans(), min_size=classes, max_size=classes)
    rows = draw(st.lists(row, min_size=batch, max_size=batch))
    return torch.tensor(rows, dtype=torch.bool)


@pytest.mark.reliability(
    'numerics',
    'both further losses: no lesion in the batch, one class, one image, zero '
    'features, beyond float16',
)
@SOME
@given(
    data=st.data(),
    seed=seeds,
    batch=sizes,
    classes=st.integers(1, 3),
    background=st.integers(0, 2),
    opposed=st.booleans(),
    normalize=st.booleans(),
    scale=scales,
    precision=precisions,
)
def test_losses_and_their_gradients_are_finite(
    data, seed, batch, classes, background, opposed, normalize, scale, precision
):
    targets = data.draw(present(batch, classes))
    embedding = normal(seed, batch, 8, scale=scale).requires_grad_()
    texts = directions(seed + 1, classes, 8)
    others = directions(seed + 2, background, 8)
    if opposed and background == 2:
        others[1] = -others[0]  # their mean has no direction
    with autocast(precision):
        loss = CLIPContrastiveLoss()(embedding, texts, others, targets)
    assert_trainable(loss, embedding)
    if not background and (classes == 1 or not targets.any()):
        assert loss == 0

    pooled = normal(seed, batch, 8, scale=scale).requires_grad_()
    pairs = directions(seed + 3, classes, 2, 8)
    with autocast(precision):
        loss = CausalAlignmentLoss(normalize)(pooled, pairs, targets)
    assert_trainable(loss, pooled)
    if not targets.any():
        assert loss == 0


@pytest.mark.parametrize('precision', HALF_TYPES)
def test_losses_under_autocast_equal_those_in_float32(precision):
    embedding, pairs = normal(0, 4, 64), directions(2, 3, 5, 64)
    texts, others = directions(1, 3, 64), directions(3, 2, 64)
    targets = torch.tensor([[1, 0, 0], [0, 1, 1], [0, 0, 0], [0, 0, 1]]).bool()
    arguments = (
        (CLIPContrastiveLoss(), (embedding, texts, others, targets)),
        (CausalAlignmentLoss(), (embedding, pairs, targets)),
    )
    for loss, values in arguments:
        with autocast(precision):
            half = loss(*values)
        assert torch.equal(half, loss(*values))


@st.composite
def heads(draw) -> torch.nn.Module:
    """A head with random weights and a filled dictionary."""
    classes = draw(st.integers(1, 3))
    # Either one segmentation class for each lesion class, or one for all.
    num_classes = draw(st.sampled_from([2, classes + 1]))
    in_index, channels = draw(st.sampled_from([(-2, 8), (0, 6)]))
    background = draw(st.sampled_from([[], ['Normal mucosa']]))
    intervention = dict(
        type='CausalIntervention',
        num_layers=1,
        num_heads=2,
        approximation=draw(st.sampled_from(APPROXIMATIONS)),
        observe_confounders=draw(st.booleans()),
        gate=draw(st.sampled_from([0.0, 1.0])),
    )
    cfg = dict(
        type='CausalInterventionHead',
        in_channels=channels,
        in_index=in_index,
        predictor=dict(
            type='FCNHead',
            in_channels=channels,
            in_index=in_index + 1 if in_index < -1 else in_index,
            channels=channels,
            num_convs=0,
            concat_input=False,
            num_classes=num_classes,
            norm_cfg=None,
        ),
        dictionary=dict(
            type='ConfounderDictionary',
            embed_dims=8,
            prompts=dict(
                classes=list(LESIONS[:classes]),
                confounders={'light': ['glare', 'dark']},
                background_prompts=background,
            ),
        ),
        region_selector=draw(
            st.just(None) | st.just(dict(type='CLIPRegionSelector', ratio=1e-6))
        ),
        intervention=draw(st.just(None) | st.just(intervention)),
        unselected=draw(st.sampled_from(['keep', 'zero'])),
    )
    with torch.random.fork_rng():
        torch.manual_seed(draw(seeds))
        head = MODELS.build(cfg)
    dictionary = head.dictionary
    dictionary.fill(directions(9, len(dictionary.texts), 8), 'ab' * 32)
    return head


def sample(labels: torch.Tensor, names: tuple[str, ...]) -> SegDataSample:
    made = SegDataSample(gt_sem_seg=PixelData(data=labels))
    made.set_metainfo(dict(img_shape=labels.shape[1:], lesion_classes=names))
    return made


@pytest.mark.reliability(
    'numerics',
    'whole head: no lesion in the batch, all pixels ignored, one image, 1 x 1 maps, '
    'N = 1, gate 0, zero features, near the end of float16 under autocast',
)
@SOME
@given(
    data=st.data(),
    head=heads(),
    seed=seeds,
    batch=st.integers(1, 3),
    height=st.integers(1, 3),
    width=st.integers(1, 3),
    # Twice that, over 1 - p of the stock predictor's dropout, is still in float16.
    scale=st.sampled_from([0.0, 1.0, 2.9e4]),
    precision=precisions,
)
def test_losses_logits_and_gradients_of_the_head_are_finite(
    data, head, seed, batch, height, width, scale, precision
):
    dtype = precision or torch.float32  # as the backbone gives it under autocast
    shapes = ((6, height, width), (8, height, width), (8, 1, 1))
    inputs = [
        normal(seed + n, batch, *shape).clamp(-2, 2).mul(scale).to(dtype)
        for n, shape in enumerate(shapes)
    ]
    for value in inputs:
        value.requires_grad_()
    # 255 is ignored.
    values = st.sampled_from([0, 1, 255])
    fill = data.draw(st.lists(values, min_size=batch, max_size=batch))
    samples = [
        sample(torch.full((1, 4 * height, 4 * width), value), ('polyp',))
        for value in fill
    ]
    torch.manual_seed(seed)
    with autocast(precision):
        losses = head.loss(tuple(inputs), samples, {})
    parts = {name: value for name, value in losses.items() if 'loss' in name}
    assert_finite(**parts)
    # As a gradient scaler would, for half precision to hold the gradients.
    (sum(parts.values()) / max(scale, 1) ** 2).backward()
    for name, parameter in head.named_parameters():
        if parameter.grad is not None:
            assert_finite(**{name: parameter.grad})
    assert_finite(**{f'input {n}': v.grad for n, v in enumerate(inputs[-2:])})
    with torch.no_grad(), autocast(precision):
        assert_finite(logits=head.eval()(tuple(inputs)))


@pytest.mark.reliability(
    'numerics', 'both towers: one empty or wild image, a 1 x 1 map, float16, bfloat16'
)
@pytest.mark.parametrize(
    ('model_name', 'size'), [('mcdrl-tiny-rn', 32), ('mcdrl-tiny-vit', 8)]
)
@pytest.mark.parametrize('precision', [None, *HALF_TYPES])
@pytest.mark.parametrize('scale', [0.0, 100.0])
def test_outputs_and_gradients_of_the_towers_are_finite(
    model_name, size, precision, scale
):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = CLIPVisionBackbone(model_name, norm_eval=True).train()
    image = normal(1, 1, 3, size, size, scale=scale)
    with autocast(precision):
        dense, embedding = backbone(image)
    assert dense.shape[2:] == (1, 1)
    assert_finite(dense=dense, embedding=embedding)
    (dense.float().mean() + embedding.float().mean()).backward()
    for name, parameter in backbone.named_parameters():
        if parameter.grad is not None:
            assert_finite(**{name: parameter.grad})
