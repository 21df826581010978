import copy

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.nn import functional as F
from torch.testing import assert_close

WIDTH = 128
TEXT = dict(model_name='mcdrl-tiny-rn')
PREDICTOR = dict(
    type='FCNHead',
    in_channels=WIDTH,
    in_index=-2,
    channels=16,
    num_convs=1,
    concat_input=False,
    dropout_ratio=0,
    num_classes=2,
)


def build(**values):
    cfg = dict(
        type='PromptTuningHead',
        class_names=['normal mucosa', ['polyp', 'cyst']],
        text=TEXT,
        in_channels=WIDTH,
        context=3,
        temperature=0.05,
    )
    torch.manual_seed(0)
    head = MODELS.build({**cfg, **values})
    head.init_weights()
    return head


def backbone_output(batch=2, size=(4, 5)):
    generator = torch.Generator().manual_seed(1)
    dense = torch.randn(batch, WIDTH, *size, generator=generator)
    embedding = torch.randn(batch, WIDTH, 1, 1, generator=generator)
    return dense, embedding


def samples(batch=2, size=(16, 20)):
    generator = torch.Generator().manual_seed(2)
    made = []
    for _ in range(batch):
        labels = torch.randint(0, 2, (1, *size), generator=generator)
        sample = SegDataSample(gt_sem_seg=PixelData(data=labels))
        sample.set_metainfo(dict(img_shape=size, pad_shape=size, ori_shape=size))
        made.append(sample)
    return made


def test_class_probability_is_the_sum_over_its_names_of_a_softmax_of_cosines():
    head = build().eval()
    inputs = backbone_output()
    with torch.no_grad():
        probability = head(inputs).softmax(dim=1).double()
        text = head.prompts().double()
    dense = inputs[0].double()
    assert text.shape[0] == 3
    for b, y, x in [(0, 0, 0), (1, 3, 4), (1, 2, 1)]:
        weights = []
        for name in text:
            c = dense[b, :, y, x]
            cosine = (c @ name) / (c.norm() * name.norm())
            weights.append(torch.exp(cosine / 0.05))
        total = sum(weights)
        expected = torch.stack([weights[0] / total, (weights[1] + weights[2]) / total])
        assert_close(probability[b, :, y, x], expected, atol=1e-5, rtol=0)


def test_prompt_logits_are_added_on_the_grid_of_the_predictor():
    head = build(predictor=PREDICTOR).eval()
    inputs = backbone_output()
    levels = (torch.randn(2, WIDTH, 8, 10), inputs[1])
    with torch.no_grad():
        head.predictor.in_index = 0
        both = head((levels[0], *inputs))
        own = head.predictor((levels[0], *inputs))
        prompts = head.prompt_logits(inputs[0])
    assert both.shape == (2, 2, 8, 10)
    expected = F.interpolate(prompts, (8, 10), mode='bilinear', align_corners=False)
    assert_close(both - own, expected, atol=1e-4, rtol=0)


def test_loss_is_the_cross_entropy_of_the_logits_at_label_size():
    head = build().train()
    inputs, batch = backbone_output(), samples()
    losses = head.loss(inputs, batch, {})
    logits = F.interpolate(head(inputs), (16, 20), mode='bilinear')
    labels = torch.cat([s.gt_sem_seg.data for s in batch])
    assert_close(losses['loss_ce'], F.cross_entropy(logits, labels))


@pytest.mark.parametrize('predictor', [None, PREDICTOR])
def test_gradient_reaches_context_predictor_and_image_tower_but_not_the_text_tower(
    predictor,
):
    head = build(predictor=predictor).train()
    dense, embedding = backbone_output()
    dense.requires_grad_()
    losses = head.loss((dense, embedding), samples(), {})
    losses['loss_ce'].backward()
    assert (dense.grad.abs().sum(dim=1) > 0).all()
    for name, parameter in head.named_parameters():
        in_tower = name.startswith('prompts.tower.')
        assert parameter.requires_grad != in_tower, name
        assert (parameter.grad is None) == in_tower, name
    assert head.prompts.context.grad.abs().sum() > 0


def test_training_only_the_context_lowers_the_loss():
    head = build().train()
    inputs, batch = backbone_output(), samples(size=(4, 5))
    # Labels that a direction in the joint space separates.
    direction = torch.randn(WIDTH)
    for index, sample in enumerate(batch):
        side = torch.einsum('dhw,d->hw', inputs[0][index], direction) > 0
        sample.gt_sem_seg.data = side[None].long()
    optimizer = torch.optim.Adam([head.prompts.context], lr=2e-2)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = head.loss(inputs, batch, {})['loss_ce']
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < 0.7 * losses[0]


def test_predict_resizes_to_the_image_and_runs_the_text_tower_once():
    head = build().eval()
    counted = []
    head.prompts.tower.register_forward_hook(lambda *_: counted.append(1))
    head.prompts.tower.transformer.register_forward_hook(lambda *_: counted.append(1))
    metas = [s.metainfo for s in samples()]
    with torch.no_grad():
        for _ in range(3):
            logits = head.predict(backbone_output(), metas, {})
    assert logits.shape == (2, 2, 16, 20)
    assert len(counted) == 1


def test_checkpoint_alone_gives_the_same_logits():
    head = build(predictor=PREDICTOR).train()
    with torch.no_grad():
        head.prompts.context.add_(0.05 * torch.randn_like(head.prompts.context))
    state = copy.deepcopy(head.state_dict())
    torch.manual_seed(9)
    cfg = dict(class_names=['normal mucosa', ['polyp', 'cyst']], text=TEXT)
    other = MODELS.build(
        dict(
            type='PromptTuningHead',
            in_channels=WIDTH,
            context=3,
            temperature=0.05,
            predictor=PREDICTOR,
            **cfg,
        )
    )
    other.load_state_dict(state, strict=True)
    inputs = backbone_output()
    with torch.no_grad():
        assert torch.equal(other.eval()(inputs), head.eval()(inputs))


@pytest.mark.parametrize('scale', [1e-4, 1.0, 1e4])
def test_half_precision_is_finite_and_gives_mostly_the_same_classes(scale):
    head = build(temperature=0.01).train()
    dense, embedding = backbone_output()
    dense = (dense * scale).requires_grad_()
    exact = head((dense, embedding))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        logits = head((dense.bfloat16(), embedding))
        loss = head.loss((dense, embedding), samples(), {})['loss_ce']
    loss.backward()
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()
    assert dense.grad.isfinite().all()
    assert (logits.argmax(1) == exact.argmax(1)).float().mean() > 0.85


def test_gradients_of_zero_features_are_finite():
    head = build()
    dense, embedding = torch.zeros(1, WIDTH, 2, 2, requires_grad=True), None
    head((dense, embedding)).sum().backward()
    assert dense.grad.isfinite().all()


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (dict(in_channels=64), 'joint space of mcdrl-tiny-rn has 128'),
        (dict(temperature=0.0), 'must be above 0'),
        (dict(class_names=['a', []]), 'must name each of the 2 output channels'),
        (dict(num_classes=3), 'must name each of the 3 output channels'),
        (
            dict(predictor={**PREDICTOR, 'num_classes': 4}),
            'predictor has 4 output channels',
        ),
    ],
)
def test_contradictory_or_invalid_settings_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        build(**values)
