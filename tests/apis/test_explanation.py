import numpy as np
import pytest
import torch
from mmseg.apis import inference_model
from mmseg.registry import MODELS
from torch.nn import functional as F

from mcdrl_mmseg.apis import ImageError, explain, predict_at_gate
from mcdrl_mmseg.apis.image_pipeline import prepare

NAMES_END = ('mucus', 'blood', 'reflection')


@pytest.fixture(scope='module')
def model(new_model):
    return new_model()


@pytest.fixture(scope='module')
def explanation(model, picture):
    return explain(model, picture)


@torch.no_grad()
def features_of(model, picture):
    inputs, samples = prepare(model, picture)
    return model.extract_feat(inputs), [sample.metainfo for sample in samples]


def by_mmseg(model, picture, gate):
    """Lesion probability by mmseg's own inference, with the gate set in the model."""
    before = float(model.decode_head.intervention.gate)
    model.decode_head.intervention.gate.fill_(gate)
    logits = inference_model(model, picture).seg_logits.data
    model.decode_head.intervention.gate.fill_(before)
    return logits.softmax(dim=0)[1].numpy()


def test_image_and_names_are_those_of_the_input_and_the_prompts(explanation, picture):
    np.testing.assert_array_equal(explanation.image, picture[..., ::-1])
    assert explanation.class_names == ('polyp', 'vocal fold lesion')
    assert len(explanation.confounder_names) == 12
    assert explanation.confounder_names[-3:] == NAMES_END
    assert explanation.gate == 1.0
    assert explanation.approximation == 'attention'


def test_similarity_is_the_cosine_of_dense_features_and_class_texts(
    model, picture, explanation
):
    features, _ = features_of(model, picture)
    texts = model.decode_head.dictionary.class_embeddings
    for row, column in ((0, 0), (2, 3)):
        dense = features[-2][0, :, row, column]
        expected = F.cosine_similarity(dense[None], texts).numpy()
        np.testing.assert_allclose(
            explanation.similarity[:, row, column], expected, atol=1e-6
        )


def test_the_kept_half_is_at_least_as_similar_as_the_rest(explanation):
    best = explanation.similarity.max(axis=0)
    assert explanation.kept.sum() == explanation.kept.size // 2
    assert best[explanation.kept].min() >= best[~explanation.kept].max()


def test_attention_sums_to_one_at_each_kept_position(explanation):
    maps = explanation.attention_maps
    assert maps.shape == (12, *explanation.kept.shape)
    np.testing.assert_allclose(maps[:, explanation.kept].sum(axis=0), 1, atol=1e-5)
    assert np.isnan(maps[:, ~explanation.kept]).all()
    np.testing.assert_allclose(explanation.attention.sum(), 1, atol=1e-5)
    np.testing.assert_allclose(
        explanation.attention, np.nanmean(maps, axis=(1, 2)), atol=1e-6
    )


def test_attention_map_holds_the_weights_of_each_token_at_its_position(
    model, picture, explanation
):
    features, _ = features_of(model, picture)
    head = model.decode_head
    row, column = np.argwhere(explanation.kept)[-1]
    token = features[-2][:, :, row, column].unsqueeze(1)
    with torch.no_grad():
        weights = head.intervention.attention_weights(
            token, head.dictionary.entries, head.dictionary.confounder_prior
        )
    np.testing.assert_allclose(
        explanation.attention_maps[:, row, column], weights[0, 0].numpy(), atol=1e-5
    )
    # Otherwise another position would pass, too.
    spread = np.nanstd(explanation.attention_maps, axis=(1, 2)).max()
    assert spread > 1e-3


@pytest.mark.parametrize('gate', [0.0, 1.0])
def test_predictions_at_gates_0_and_1_agree_with_mmseg(
    model, picture, explanation, gate
):
    probability = explanation.lesion_probability[f'gate_{gate:.0f}']
    assert probability.shape == (90, 120)
    assert probability.dtype == np.float32
    np.testing.assert_allclose(probability, by_mmseg(model, picture, gate), atol=1e-5)


def test_the_intervention_changes_the_prediction(explanation):
    ends = explanation.lesion_probability
    assert set(ends) == {'gate_0', 'gate_1'}
    assert np.abs(ends['gate_1'] - ends['gate_0']).max() > 0.01


def test_prediction_at_a_gate_in_between_agrees_with_mmseg(model, picture):
    expected = by_mmseg(model, picture, 0.3)
    np.testing.assert_allclose(
        predict_at_gate(model, picture, 0.3), expected, atol=1e-5
    )
    explanation = explain(model, picture, gate=0.3)
    assert explanation.gate == 0.3
    np.testing.assert_allclose(
        explanation.lesion_probability['gate'], expected, atol=1e-5
    )


@torch.no_grad()
def test_prediction_of_one_confounder_applies_it_alone_to_every_token(
    model, picture, explanation
):
    head = model.decode_head
    features, metas = features_of(model, picture)
    state = head.intervene(features)
    alone = head.intervention.intervene_on(state.region_tokens, head.dictionary.entries)
    dense = features[-2].clone()
    flat = dense.flatten(2)
    for number in (0, 11):
        flat[0][:, state.indices[0]] = alone[0, number].T
        maps = (*features[:-2], flat.unflatten(2, dense.shape[2:]))
        logits = head.predictor.predict(maps, metas, model.test_cfg)
        logits = F.interpolate(logits, (90, 120), mode='bilinear', align_corners=False)
        np.testing.assert_allclose(
            explanation.per_confounder[number],
            logits.softmax(dim=1)[0, 1].numpy(),
            atol=1e-5,
        )
    assert explanation.per_confounder.shape == (12, 90, 120)
    assert np.abs(explanation.per_confounder[0] - explanation.per_confounder[11]).any()


def exact_model(new_model, prior: list[float]):
    """A model in exact form, with a prior over the conditions in their order."""
    names = new_model().decode_head.dictionary.prompts.confounder_names
    return new_model(
        intervention=dict(approximation='expectation'),
        dictionary=dict(prior=dict(zip(names, prior, strict=True))),
    )


def test_weights_of_the_exact_form_are_the_prior(new_model, picture):
    prior = [0.39, 0.39, *[0.022] * 10]
    exact = exact_model(new_model, prior)
    explanation = explain(exact, picture)
    assert explanation.approximation == 'expectation'
    # Its queries and keys are untrained: their attention would be noise.
    np.testing.assert_allclose(explanation.attention, prior, atol=1e-6)


def test_a_prior_on_one_confounder_gives_the_prediction_of_that_confounder(
    new_model, picture
):
    prior = [0.0] * 12
    prior[4] = 1.0
    exact = exact_model(new_model, prior)
    explanation = explain(exact, picture)
    np.testing.assert_allclose(
        explanation.lesion_probability['gate_1'],
        explanation.per_confounder[4],
        atol=1e-5,
    )


def test_explaining_does_not_change_the_model(new_model, picture):
    model = new_model(intervention=dict(gate=0.25)).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert explain(model, picture).gate == 0.25
    predict_at_gate(model, picture, 0.75)
    assert model.training
    assert 'forward' not in vars(model.decode_head.intervention)
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_without_a_selector_every_position_is_kept_and_has_a_similarity(
    new_model, picture, explanation
):
    model = new_model(region_selector=None)
    whole = explain(model, picture)
    assert whole.kept.all()
    assert np.isfinite(whole.attention_maps).all()
    np.testing.assert_allclose(whole.similarity, explanation.similarity, atol=1e-5)


def test_predictions_with_sliding_windows_agree_with_mmseg(new_model, picture):
    model = new_model()
    model.test_cfg.update(mode='slide', crop_size=(96, 96), stride=(32, 32))
    explanation = explain(model, picture)
    np.testing.assert_allclose(
        explanation.lesion_probability['gate_1'], by_mmseg(model, picture, 1), atol=1e-5
    )
    assert np.ptp(explanation.per_confounder, axis=0).max() > 0


def test_a_head_that_draws_at_each_prediction_draws_the_same_for_all_maps(
    new_model, picture
):
    """SegNeXt's head begins with random bases: maps would differ by these alone."""
    segnext = dict(
        _delete_=True,
        type='LightHamHead',
        in_channels=[64, 128, 256],
        in_index=[0, 1, 2],
        channels=16,
        ham_channels=16,
        ham_kwargs=dict(MD_R=4, eval_steps=1, rand_init=True),
        num_classes=2,
    )
    model = new_model(predictor=segnext)
    assert not torch.equal(
        *(inference_model(model, picture).seg_logits.data for _ in 'ab')
    )
    state = torch.get_rng_state()
    explanation = explain(model, picture, gate=1.0)
    probability = explanation.lesion_probability
    np.testing.assert_array_equal(probability['gate'], probability['gate_1'])
    np.testing.assert_array_equal(
        predict_at_gate(model, picture, 1.0), probability['gate_1']
    )
    assert torch.equal(torch.get_rng_state(), state)


def test_entries_of_a_random_dictionary_are_not_named_after_conditions(
    new_model, picture
):
    explanation = explain(new_model(dictionary=dict(source='random')), picture)
    assert explanation.confounder_names[:2] == ('random 1', 'random 2')


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(intervention=None), 'intervention=None'),
        (dict(intervention=dict(attend_to='self')), "attend_to='self'"),
    ],
)
def test_a_head_that_does_not_attend_to_confounders_cannot_be_explained(
    new_model, picture, options, words
):
    with pytest.raises(ValueError, match=words):
        explain(new_model(**options), picture)


def test_a_stock_model_cannot_be_explained(model, picture):
    head = dict(type='FCNHead', in_channels=4, channels=4, num_classes=2)
    stock = torch.nn.Module()
    stock.decode_head = MODELS.build(head)
    with pytest.raises(ValueError, match='decode_head=FCNHead'):
        explain(stock, picture)
    with pytest.raises(ValueError, match='CausalInterventionHead'):
        predict_at_gate(stock, picture, 0.5)


@pytest.mark.parametrize('gate', [-0.1, 1.1, float('nan')])
def test_a_gate_outside_its_range_is_refused(model, picture, gate):
    with pytest.raises(ValueError, match='gate='):
        predict_at_gate(model, picture, gate)
    with pytest.raises(ValueError, match='gate='):
        explain(model, picture, gate=gate)


def test_a_file_that_is_not_an_image_is_named_in_the_error(model, tmp_path):
    path = tmp_path / 'odd.png'
    path.write_text('no picture')
    with pytest.raises(ImageError, match=r'odd\.png'):
        explain(model, str(path))


def test_an_explanation_of_a_padded_input_holds_the_window_of_the_image(
    new_model, picture
):
    model = new_model()
    height, width = prepare(model, picture)[0].shape[2:]
    model.data_preprocessor.test_cfg = dict(size=(2 * height, 4 * width))
    found = explain(model, picture)
    assert found.window == (0, 0.5, 0, 0.25)
    rows, columns = found.similarity.shape[1:]
    assert columns / rows == 2 * width / height
    assert found.lesion_probability['gate_1'].shape == picture.shape[:2]
