import copy

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.testing import assert_close

from mcdrl_mmseg.models import DictionaryError
from mcdrl_mmseg.models.feature_levels import BareMap

WIDTH = 8
# The levels (16 and 24 channels), the dense map and the image embedding.
LEVELS = ((16, 8, 10), (24, 4, 5))
DENSE = (WIDTH, 4, 5)
COMMON = dict(
    channels=8,
    num_classes=2,
    dropout_ratio=0,
    norm_cfg=dict(type='BN', requires_grad=True),
    align_corners=False,
)
FCN = dict(
    type='FCNHead',
    in_channels=WIDTH,
    in_index=-1,
    num_convs=1,
    concat_input=False,
    **COMMON,
)
PREDICTORS = {
    'FCNHead': FCN,
    'ASPPHead': dict(
        type='ASPPHead', in_channels=WIDTH, in_index=-1, dilations=(1, 2), **COMMON
    ),
    'SegformerHead': dict(
        type='SegformerHead', in_channels=[16, 24, WIDTH], in_index=[0, 1, 2], **COMMON
    ),
    'UPerHead': dict(
        type='UPerHead',
        in_channels=[16, 24, WIDTH],
        in_index=[0, 1, 2],
        pool_scales=(1, 2),
        **COMMON,
    ),
}
LESIONS = [('polyp',), ('polyp', 'cyst'), ()]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def inputs() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    shapes = (*LEVELS, DENSE, (WIDTH, 1, 1))
    return tuple(torch.randn(3, *shape, generator=generator) for shape in shapes)


@pytest.fixture
def build(prompts, fill):
    """Builds a head with random weights, by default with a filled dictionary."""

    def build_head(filled=True, gate=1.0, intervention=(), **changes):
        if intervention is not None:
            intervention = dict(
                type='CausalIntervention',
                num_layers=2,
                num_heads=2,
                gate=gate,
                **dict(intervention),
            )
        cfg = dict(
            type='CausalInterventionHead',
            in_channels=WIDTH,
            predictor=FCN,
            dictionary=dict(
                type='ConfounderDictionary',
                prompts=prompts,
                embed_dims=WIDTH,
                prior=[0.5, 0.3, 0.2],
            ),
            intervention=intervention,
        )
        torch.manual_seed(0)
        head = MODELS.build(copy.deepcopy({**cfg, **changes}))
        head.init_weights()
        with torch.no_grad():
            for parameter in head.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.2)
        if filled:
            fill(head.dictionary)
        return head

    return build_head


def plain_logits(head, inputs):
    """The predictor alone, on the backbone's maps."""
    return head.predictor(inputs[:-1])


@pytest.mark.parametrize('predictor', PREDICTORS)
@pytest.mark.parametrize('unselected', ['keep', 'zero'])
@pytest.mark.parametrize('approximation', ['attention', 'expectation', 'sampling'])
def test_closed_gate_gives_the_plain_networks_logits_bit_for_bit(
    build, inputs, predictor, unselected, approximation
):
    head = build(
        gate=0.0,
        predictor=PREDICTORS[predictor],
        unselected=unselected,
        intervention=dict(approximation=approximation),
    )
    for training in (True, False):
        head.train(training)
        with torch.no_grad():
            assert torch.equal(head(inputs), plain_logits(head, inputs))


@pytest.mark.parametrize('predictor', PREDICTORS)
def test_open_gate_changes_the_logits_of_every_predictor(build, inputs, predictor):
    head = build(predictor=PREDICTORS[predictor]).eval()
    with torch.no_grad():
        logits = head(inputs)
        assert logits.shape[:2] == (3, 2)
        assert not torch.allclose(logits, plain_logits(head, inputs), atol=1e-3)


def test_closed_gate_on_a_level_gives_the_logits_of_the_predictor_alone(build, inputs):
    predictor = dict(
        type='SegformerHead', in_channels=[16, 24], in_index=[0, 1], **COMMON
    )
    head = build(gate=0.0, predictor=predictor, in_channels=16, in_index=0).eval()
    with torch.no_grad():
        assert torch.equal(head(inputs), head.predictor(inputs[:2]))


def by_hand(head, inputs):
    """Selected tokens and the maps after the intervention, with plain loops."""
    feature, dense = inputs[head.in_index], inputs[-2]
    _, indices = head.region_selector(
        dense, head.dictionary.class_embeddings, grid=feature.shape[2:]
    )
    tokens = torch.stack(
        [f.flatten(1).t()[chosen] for f, chosen in zip(feature, indices)]
    )
    changed = head.intervention(
        tokens, head.dictionary.entries, head.dictionary.confounder_prior
    )
    return indices, tokens, changed


@pytest.mark.parametrize('gate', [0.25, 1.0])
def test_selected_positions_are_replaced_and_the_others_kept(build, inputs, gate):
    head = build(gate=gate).eval()
    with torch.no_grad():
        indices, tokens, changed = by_hand(head, inputs)
        state = head.intervene(inputs)
    assert torch.equal(state.indices, indices)
    assert indices.shape == (3, 10)
    assert_close(state.region_tokens, tokens)
    assert_close(state.intervened_tokens, changed)
    expected = inputs[-2].clone().flatten(2)
    for image, chosen in enumerate(indices):
        blend = tokens[image] + gate * (changed[image] - tokens[image])
        expected[image][:, chosen] = blend.t()
    assert_close(state.features[-1], expected.view_as(inputs[-2]))
    assert torch.equal(state.features[0], inputs[0])
    assert torch.equal(state.features[1], inputs[1])
    assert len(state.features) == 3


@pytest.mark.parametrize('gate', [0.0, 0.25, 1.0])
def test_unselected_zero_scales_the_other_positions_down_as_the_gate_opens(
    build, inputs, gate
):
    head = build(gate=gate, unselected='zero').eval()
    with torch.no_grad():
        state = head.intervene(inputs)
    for image, chosen in enumerate(state.indices):
        others = torch.ones(20, dtype=torch.bool)
        others[chosen] = False
        result = state.features[-1][image].flatten(1)[:, others]
        expected = inputs[-2][image].flatten(1)[:, others] * (1 - gate)
        assert torch.equal(result, expected)


BOTH_MAPS = {
    **FCN,
    'in_channels': [WIDTH, 1],
    'in_index': [-2, -1],
    'input_transform': 'resize_concat',
}


@pytest.mark.parametrize('gate', [0.0, 0.25, 1.0])
def test_similarity_map_is_the_scaled_cosine_to_lesions_minus_that_to_healthy_tissue(
    build, inputs, gate
):
    head = build(gate=gate, predictor=BOTH_MAPS, similarity_map=True)
    state = head.intervene(inputs)
    dense = inputs[-2].double()
    cosines = {}
    for name in ('class', 'background'):
        texts = getattr(head.dictionary, f'{name}_embeddings').double()
        cosines[name] = torch.stack(
            [
                torch.cosine_similarity(dense, text[:, None, None], dim=1)
                for text in texts
            ]
        )
    lesion, healthy = (each.max(dim=0).values for each in cosines.values())
    expected = gate * 100 * (lesion - healthy)
    assert len(state.features) == len(inputs[:-2]) + 2
    assert_close(state.features[-1], expected[:, None].float(), atol=2e-5, rtol=1e-5)


def test_similarity_map_reaches_the_predictor_and_changes_no_other_map(build, inputs):
    head = build(predictor=BOTH_MAPS, similarity_map=True).eval()
    without = build().eval()
    for part in ('dictionary', 'intervention'):
        getattr(without, part).load_state_dict(getattr(head, part).state_dict())
    for ours, reference in zip(
        head.intervene(inputs).features, without.intervene(inputs).features
    ):
        assert_close(ours, reference, atol=0, rtol=0)
    logits = head(inputs)
    head.dictionary.background_embeddings.neg_()
    assert (head(inputs) - logits).abs().max() > 1e-3


def test_similarity_map_has_clips_own_resolution_with_an_intervention_on_a_level(
    build, inputs
):
    predictor = {**BOTH_MAPS, 'in_channels': [16, 1], 'in_index': [0, -1]}
    head = build(
        in_index=0,
        in_channels=16,
        predictor=predictor,
        similarity_map=True,
        loss_causal=None,
    )
    assert head.intervene(inputs).features[-1].shape == (3, 1, 4, 5)
    assert head(inputs).shape == (3, 2, 8, 10)


def test_no_gradient_goes_through_the_similarity_map(build, inputs):
    head = build(predictor=BOTH_MAPS, similarity_map=True)
    inputs[-2].requires_grad_()
    assert not head.intervene(inputs).features[-1].requires_grad


def test_similarity_map_without_a_selector_is_an_error(build):
    with pytest.raises(ValueError, match='similarity_map=True needs a region_selector'):
        build(region_selector=None, similarity_map=True)


def test_similarity_map_without_background_prompts_is_an_error(build, prompts):
    dictionary = dict(
        type='ConfounderDictionary',
        prompts={**prompts, 'background_prompts': []},
        embed_dims=WIDTH,
    )
    with pytest.raises(ValueError, match=r'no background_prompts\. Add them'):
        build(dictionary=dictionary, filled=False, similarity_map=True)


def test_confounders_are_observed_in_training_and_not_in_inference(build, inputs):
    head = build(intervention=dict(observe_confounders=True))
    other = (*inputs[:-1], inputs[-1].flip(0))
    with torch.no_grad():
        head.eval()
        evaluated = head.intervene(inputs)
        assert torch.equal(
            evaluated.intervened_tokens, head.intervene(other).intervened_tokens
        )
        head.train()
        trained = head.intervene(inputs)
    scores = copy.deepcopy(head.confounder_scores)
    # The same batch, counted again, does not change the statistics.
    seen = scores(inputs[-1].flatten(1), head.dictionary.entries)
    assert_close(scores.mean, head.confounder_scores.mean)
    expected = head.intervention(
        trained.region_tokens,
        head.dictionary.entries,
        head.dictionary.confounder_prior,
        seen,
    )
    assert_close(trained.intervened_tokens, expected)
    assert not torch.allclose(trained.intervened_tokens, evaluated.intervened_tokens)


def test_statistics_of_the_observed_confounders_are_part_of_a_checkpoint(build, inputs):
    head = build(intervention=dict(observe_confounders=True)).train()
    head.intervene(inputs)
    again = build(intervention=dict(observe_confounders=True))
    again.load_state_dict(head.state_dict())
    assert again.confounder_scores.steps == 1
    assert torch.equal(again.confounder_scores.mean, head.confounder_scores.mean)
    assert build().confounder_scores is None


def test_without_region_selection_every_position_is_intervened_on(build, inputs):
    head = build(region_selector=None).eval()
    with torch.no_grad():
        state = head.intervene(inputs)
        tokens = inputs[-2].flatten(2).transpose(1, 2)
        changed = head.intervention(
            tokens, head.dictionary.entries, head.dictionary.confounder_prior
        )
    assert state.indices is None
    assert_close(state.features[-1].flatten(2).transpose(1, 2), changed)


def test_without_an_intervention_only_unselected_zero_changes_the_features(
    build, inputs
):
    kept = build(intervention=None)
    emptied = build(intervention=None, unselected='zero')
    with torch.no_grad():
        assert torch.equal(kept.intervene(inputs).features[-1], inputs[-2])
        state = emptied.intervene(inputs)
    assert torch.equal(state.intervened_tokens, state.region_tokens)
    for image, chosen in enumerate(state.indices):
        expected = torch.zeros(WIDTH, 20)
        expected[:, chosen] = inputs[-2][image].flatten(1)[:, chosen]
        assert torch.equal(state.features[-1][image].flatten(1), expected)


def test_a_level_is_intervened_on_in_place_at_its_own_resolution(build, inputs):
    for in_index in (0, -4):
        head = build(
            in_channels=16,
            in_index=in_index,
            predictor={**FCN, 'in_channels': 16, 'in_index': 0},
        ).eval()
        with torch.no_grad():
            indices, _, changed = by_hand(head, inputs)
            state = head.intervene(inputs)
        assert indices.shape == (3, 40)
        assert len(state.features) == 2
        assert torch.equal(state.features[1], inputs[1])
        result = state.features[0].flatten(2).transpose(1, 2)
        for image, chosen in enumerate(indices):
            assert_close(result[image][chosen], changed[image])


def test_in_index_of_the_dense_map_may_count_from_either_end(build, inputs):
    results = [build(in_index=i).eval()(inputs) for i in (-2, 2)]
    assert torch.equal(*results)


def test_image_embedding_cannot_be_intervened_on(build):
    with pytest.raises(ValueError, match=r'in_index=-1 is the image embedding'):
        build(in_index=-1)


@pytest.mark.parametrize('in_index', [4, -5, 3])
def test_an_in_index_that_the_backbone_lacks_is_an_error(build, inputs, in_index):
    """Two levels, the dense map and the embedding: modulo their number 4 is 0."""
    predictor = {**FCN, 'in_channels': 16, 'in_index': 0}
    head = build(in_channels=16, in_index=in_index, predictor=predictor).eval()
    with pytest.raises(ValueError, match='returns 2 levels, then the dense map'):
        head.intervene(inputs)


def test_an_unknown_value_of_unselected_is_an_error(build):
    with pytest.raises(ValueError, match=r"unselected='drop' must be 'keep' or 'zero'"):
        build(unselected='drop')


def test_an_unbuilt_dictionary_raises_an_error_in_forward_and_loss(
    build, inputs, samples
):
    head = build(filled=False)
    with pytest.raises(DictionaryError, match='ConfounderDictionaryHook'):
        head(inputs)
    with pytest.raises(DictionaryError, match='ConfounderDictionaryHook'):
        head.loss(inputs, samples((16, 20), LESIONS), {})
    neither = build(filled=False, region_selector=None, intervention=None)
    with pytest.raises(DictionaryError, match='ConfounderDictionaryHook'):
        neither(inputs)


def test_losses_are_those_of_the_predictor_and_the_two_of_the_method(
    build, inputs, samples
):
    head = build()
    batch = samples((16, 20), LESIONS)
    losses = head.loss(inputs, batch, {})
    assert set(losses) == {'loss_ce', 'acc_seg', 'loss_causal', 'loss_contrast'}

    present = torch.tensor([[1, 0], [1, 1], [0, 0]], dtype=torch.bool)
    state = head.intervene(inputs)
    dictionary = head.dictionary
    expected = head.predictor.loss(state.features, batch, {})['loss_ce']
    assert_close(losses['loss_ce'], expected)
    pooled = state.intervened_tokens.mean(dim=1)
    targets = dictionary.class_confounder_embeddings
    expected = head.loss_causal(pooled, targets, present)
    assert_close(losses['loss_causal'], expected)
    expected = head.loss_contrast(
        inputs[-1].flatten(1),
        dictionary.class_embeddings,
        dictionary.background_embeddings,
        present,
    )
    assert_close(losses['loss_contrast'], expected)


@pytest.mark.parametrize('ignored', [255, 7])
def test_an_image_with_only_ignored_pixels_does_not_count_as_lesion_free(
    build, inputs, samples, ignored
):
    head = build(predictor={**FCN, 'ignore_index': ignored})
    batch = samples((16, 20), LESIONS)
    for sample in batch:
        sample.gt_sem_seg.data[sample.gt_sem_seg.data == 255] = ignored
    batch[2].gt_sem_seg.data[:] = ignored
    found = head.loss(inputs, batch, {})['loss_contrast']
    of_others = tuple(part[:2] for part in inputs)
    expected = head.loss(of_others, batch[:2], {})['loss_contrast']
    assert_close(found, expected)


def test_causal_loss_is_zero_until_the_gate_opens(build, inputs, samples):
    values = {}
    for gate in (0.0, 0.1, 1.0):
        losses = build(gate=gate).loss(inputs, samples((16, 20), LESIONS), {})
        values[gate] = losses['loss_causal'].item()
    assert values[0.0] == 0
    # From then on it counts in full: it is about F_ca, which the gate does not touch.
    assert values[0.1] == values[1.0] > 0


def test_causal_loss_counts_from_the_start_without_an_intervention(
    build, inputs, samples
):
    head = build(intervention=None)
    losses = head.loss(inputs, samples((16, 20), LESIONS), {})
    tokens = head.intervene(inputs).region_tokens
    present = torch.tensor([[1, 0], [1, 1], [0, 0]], dtype=torch.bool)
    targets = head.dictionary.class_confounder_embeddings
    expected = head.loss_causal(tokens.mean(dim=1), targets, present)
    assert_close(losses['loss_causal'], expected)
    assert expected > 0


def test_features_of_another_width_are_projected_for_the_causal_loss(
    build, inputs, samples
):
    wide = build(
        in_channels=16,
        in_index=0,
        predictor={**FCN, 'in_channels': 16, 'in_index': 0},
    )
    assert wide.causal_projection.weight.shape == (WIDTH, 16)
    assert wide.loss(inputs, samples((16, 20), LESIONS), {})['loss_causal'] > 0
    assert not list(build().causal_projection.parameters())
    wide = build(
        in_channels=16,
        in_index=0,
        loss_causal=None,
        predictor={**FCN, 'in_channels': 16, 'in_index': 0},
    )
    assert not list(wide.causal_projection.parameters())


def test_a_batch_without_any_lesion_gives_finite_gradients(build, inputs, samples):
    head = build()
    losses = head.loss(inputs, samples((16, 20), [(), (), ()]), {})
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert losses['loss_causal'] == 0
    for name, parameter in head.named_parameters():
        assert parameter.grad.isfinite().all(), name


def test_disabled_losses_add_no_key_and_need_no_lesion_classes(build, inputs):
    head = build(loss_causal=None, loss_contrast=None)
    labels = PixelData(data=torch.zeros(1, 16, 20, dtype=torch.long))
    batch = [SegDataSample(gt_sem_seg=labels) for _ in range(3)]
    assert set(head.loss(inputs, batch, {})) == {'loss_ce', 'acc_seg'}


def test_a_predictor_with_several_losses_keeps_them_all(build, inputs, samples):
    predictor = {
        **FCN,
        'loss_decode': [
            dict(type='CrossEntropyLoss', loss_name='loss_ce'),
            dict(type='DiceLoss', loss_name='loss_dice'),
        ],
    }
    losses = build(predictor=predictor).loss(inputs, samples((16, 20), LESIONS), {})
    assert {'loss_ce', 'loss_dice', 'loss_causal', 'loss_contrast'} < set(losses)


@pytest.mark.parametrize('in_index', [-2, 0])
@pytest.mark.parametrize('losses', ['both', 'no causal', 'no contrast', 'none'])
@pytest.mark.parametrize('gate', [0.0, 1.0])
def test_all_outputs_of_the_backbone_are_part_of_the_loss(
    build, inputs, samples, in_index, losses, gate
):
    """Distributed training fails on a trained parameter outside the graph."""
    channels = 8 if in_index == -2 else 16
    changes = {}
    if losses in ('no causal', 'none'):
        changes['loss_causal'] = None
    if losses in ('no contrast', 'none'):
        changes['loss_contrast'] = None
    head = build(
        gate=gate,
        in_channels=channels,
        in_index=in_index,
        predictor={
            **FCN,
            'in_channels': channels,
            'in_index': -1 if channels == 8 else 0,
        },
        **changes,
    )
    inputs = tuple(value.requires_grad_() for value in inputs)
    result = head.loss(inputs, samples((16, 20), LESIONS), {})
    sum(value for name, value in result.items() if 'loss' in name).backward()
    assert inputs[-2].grad is not None
    assert inputs[-1].grad is not None
    for name, parameter in head.named_parameters():
        assert not parameter.requires_grad or parameter.grad is not None, name


def test_unused_outputs_do_not_change_the_loss(build, inputs, samples):
    head = build(loss_contrast=None)
    batch = samples((16, 20), LESIONS)
    plain = head.loss(inputs, batch, {})
    inputs = tuple(value.requires_grad_() for value in inputs)
    tied = head.loss(inputs, batch, {})
    assert torch.equal(plain['loss_ce'], tied['loss_ce'])
    (gradient,) = torch.autograd.grad(tied['loss_ce'], inputs[-1])
    assert gradient.abs().max() == 0


def test_predict_resizes_the_logits_to_the_image_size(build, inputs):
    head = build().eval()
    metas = [dict(img_shape=(32, 40), pad_shape=(32, 40))] * 3
    with torch.no_grad():
        result = head.predict(inputs, metas, {})
        expected = torch.nn.functional.interpolate(
            head(inputs), size=(32, 40), mode='bilinear', align_corners=False
        )
    assert_close(result, expected)


def test_the_head_has_the_attributes_of_its_predictor(build):
    predictor = {
        **FCN,
        'num_classes': 2,
        'out_channels': 1,
        'threshold': 0.4,
        'align_corners': True,
        'ignore_index': 7,
        'loss_decode': dict(type='CrossEntropyLoss', use_sigmoid=True),
    }
    head = build(predictor=predictor)
    seen = (
        head.num_classes,
        head.out_channels,
        head.threshold,
        head.align_corners,
        head.ignore_index,
    )
    assert seen == (2, 1, 0.4, True, 7)


def test_learned_dictionary_and_self_attention_controls_can_be_trained(
    build, inputs, samples
):
    learned = build(
        dictionary=dict(
            type='ConfounderDictionary',
            prompts=build().dictionary.prompts.to_dict(),
            embed_dims=WIDTH,
            source='learned',
        )
    )
    itself = build(intervention=dict(attend_to='self'))
    for head in (learned, itself):
        losses = head.loss(inputs, samples((16, 20), LESIONS), {})
        sum(value for name, value in losses.items() if 'loss' in name).backward()
        for name, parameter in head.named_parameters():
            assert parameter.grad is not None, name
    assert learned.dictionary.learned_embeddings.grad.abs().sum() > 0


@pytest.mark.parametrize('gate', [0.0, 1.0])
def test_bfloat16_losses_are_close_to_those_in_float32(build, inputs, samples, gate):
    head = build(gate=gate)
    batch = samples((16, 20), LESIONS)
    exact = head.loss(inputs, batch, {})
    with torch.autocast('cpu', dtype=torch.bfloat16):
        rough = head.loss(inputs, batch, {})
    for name in ('loss_ce', 'loss_causal', 'loss_contrast'):
        assert_close(rough[name].float(), exact[name], rtol=0.05, atol=0.02)


def test_loaded_state_dict_gives_the_same_logits_without_text_or_hook(build, inputs):
    head = build(gate=1.0).eval()
    other = build(filled=False, gate=0.0).eval()
    other.load_state_dict(head.state_dict())
    with torch.no_grad():
        assert torch.equal(other(inputs), head(inputs))


TWO_LEVELS = dict(
    predictor=dict(
        type='SegformerHead', in_channels=[16, 24], in_index=[0, 1], **COMMON
    ),
    in_channels=[16, 24],
    in_index=[0, 1],
)


def test_several_levels_have_an_intervention_each_and_the_last_is_the_leading_one(
    build, inputs
):
    head = build(**TWO_LEVELS).eval()
    widths = [each.layers[0].out.out_features for each in head.interventions]
    assert widths == [16, 24]
    assert head.intervention is head.interventions[-1]
    with torch.no_grad():
        state = head.intervene(inputs)
        assert all(not torch.equal(*both) for both in zip(state.features, inputs[:2]))
        assert state.region_tokens.shape[2] == 24
        assert head.leading_map(inputs) is inputs[1]
        # The levels do not depend on each other.
        head.interventions[0].gate.fill_(0)
        shut = head.intervene(inputs).features
    assert torch.equal(shut[0], inputs[0])
    assert torch.equal(shut[1], state.features[1])


def test_several_levels_are_all_trained_and_stay_unchanged_at_gate_0(
    build, inputs, samples
):
    head = build(gate=0.0, loss_contrast=None, **TWO_LEVELS)
    losses = head.loss(inputs, samples((16, 20), LESIONS), {})
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    assert all(p.grad is not None for p in head.interventions[0].parameters())
    head.eval()
    with torch.no_grad():
        assert torch.equal(head(inputs), head.predictor(inputs[:2]))


def test_a_level_given_as_a_list_of_one_has_the_same_weights(build):
    one = build(in_channels=WIDTH, in_index=-2).state_dict()
    listed = build(in_channels=[WIDTH], in_index=[-2]).state_dict()
    assert list(one) == list(listed)
    assert all(torch.equal(one[name], listed[name]) for name in one)


def test_fewer_widths_than_levels_are_an_error(build):
    with pytest.raises(ValueError, match=r'names 2 maps, .* gives the width of 1\.'):
        build(in_channels=[16], in_index=[0, 1])


def test_a_bare_map_is_intervened_on_at_any_index_and_stays_bare(build, inputs):
    *_, level, dense, embedding = inputs
    head = build(gate=0.0, in_channels=24, in_index=-3).eval()
    bare = BareMap(level, dense, embedding)
    with torch.no_grad():
        assert torch.equal(head.intervene(bare).features, level)
        head.intervention.gate.fill_(1)
        changed = head.intervene(bare).features
    assert changed.shape == level.shape
    assert not torch.equal(changed, level)
    assert head.leading_map(bare) is level


def test_a_bare_map_with_interventions_on_two_levels_is_an_error(build, inputs):
    bare = BareMap(*inputs[-3:])
    head = build(**TWO_LEVELS).eval()
    with pytest.raises(ValueError, match='returns a single map in evaluation'):
        head.intervene(bare)


@pytest.mark.parametrize('kind', [list, tuple])
def test_level_with_a_class_token_keeps_it(build, inputs, kind):
    """DPT's backbone returns such levels."""
    token = torch.randn(len(inputs[0]), 16)
    level = kind([inputs[0], token])
    head = build(in_channels=16, in_index=0).eval()
    with torch.no_grad():
        features = head.intervene((level, *inputs[1:])).features
        expected = head.intervene(inputs).features
    assert type(features[0]) is kind
    assert features[0][1] is token
    assert torch.equal(features[0][0], expected[0])


def test_the_memory_layout_of_a_level_is_kept(build, inputs):
    """In another layout a convolution rounds differently, as with mmpretrain's ViT."""
    head = build(gate=0.0, in_channels=16, in_index=0).eval()
    last = inputs[0].contiguous(memory_format=torch.channels_last)
    # As a ViT makes it: tokens without the class token, turned to a map.
    tokens = torch.cat([last.flatten(2)[..., :1], last.flatten(2)], dim=2)
    view = tokens.transpose(1, 2).contiguous()[:, 1:].transpose(1, 2)
    view = view.unflatten(2, last.shape[2:])
    for level, channel_stride in ((last, 1), (view, 1), (inputs[0], 16)):
        with torch.no_grad():
            result = head.intervene((level, *inputs[1:])).features[0]
        assert torch.equal(result, level)
        assert (result.stride(1) == 1) == (channel_stride == 1)
