import base64
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mcdrl_common.site_reference import site_reference
from mcdrl_lab.serving.page_content import (
    Explainer,
    color_scale,
    explanation_content,
    guarantee,
    prediction_content,
)
from mcdrl_mmseg.apis.checkpoint import load_segmentor
from mcdrl_mmseg.apis.explanation import (
    Explanation,
    LesionProbability,
    explain,
    predict_at_gate,
)


def picture(url: str) -> np.ndarray:
    """Decode a data URL into (H, W, 3), RGB."""
    content = base64.b64decode(url.partition(',')[2])
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


@pytest.fixture
def explanation() -> Explanation:
    """Two classes, three confounders, the left half kept."""
    image = np.full((40, 80, 3), 128, np.uint8)
    similarity = np.zeros((2, 2, 4), np.float32)
    similarity[0, :, 0] = 0.5
    similarity[1, 0, :] = -0.25
    kept = np.zeros((2, 4), bool)
    kept[:, :2] = True
    return Explanation(
        image=image,
        class_names=('polyp', 'cyst'),
        confounder_names=('blur', 'glare', 'mucus'),
        similarity=similarity,
        kept=kept,
        attention=np.array([0.2, 0.7, 0.1], np.float32),
        attention_maps=np.zeros((3, 2, 4), np.float32),
        lesion_probability={},
        per_confounder=np.zeros((3, 40, 80), np.float32),
        gate=1.0,
    )


def test_prediction_shows_mask_and_probability():
    image = np.full((40, 60, 3), 128, np.uint8)
    probability = np.full((40, 60), 0.1, np.float32)
    probability[10:30, 15:45] = 0.9
    answer = prediction_content(image, LesionProbability(probability), 0.25)
    assert answer['gate'] == 0.25
    assert answer['marked'] == pytest.approx(20 * 30 / (40 * 60))
    mask = picture(answer['mask']).astype(int)
    assert np.abs(mask[:6] - 128).max() < 10  # Nothing outside.
    assert mask[20, 30, 2] > mask[20, 30, 0] + 20  # Bluish inside.
    shown = picture(answer['probability']).astype(int)
    # Cividis goes from dark blue to yellow.
    assert shown[20, 30, 0] > shown[20, 30, 2] + 40
    assert shown[2, 2, 2] > shown[2, 2, 0] + 20


def test_a_probability_of_exactly_one_half_is_not_in_the_mask():
    image = np.zeros((20, 20, 3), np.uint8)
    half = LesionProbability(np.full((20, 20), 0.5, np.float32))
    assert prediction_content(image, half, 1)['marked'] == 0


def test_large_images_are_shown_smaller_but_measured_at_full_size():
    image = np.zeros((30, 4096, 3), np.uint8)
    probability = np.zeros((30, 4096), np.float32)
    probability[0, 0] = 1
    answer = prediction_content(image, LesionProbability(probability), 1)
    assert answer['marked'] == pytest.approx(1 / (30 * 4096))
    assert picture(answer['mask']).shape[1] == 1024
    assert picture(answer['probability']).shape[1] == 1024


def test_explanation_lists_confounders_by_weight_and_similarity_ranges(explanation):
    answer = explanation_content(explanation)
    assert (answer['width'], answer['height']) == (80, 40)
    assert answer['kept'] == 0.5
    assert answer['attends'] is True
    assert [one['name'] for one in answer['confounders']] == ['glare', 'blur', 'mucus']
    weights = [one['weight'] for one in answer['confounders']]
    assert weights == pytest.approx([0.7, 0.2, 0.1])
    ranges = {one['name']: (one['low'], one['high']) for one in answer['similarity']}
    assert ranges == {'polyp': (0.0, 0.5), 'cyst': (-0.25, 0.0)}


def test_similarity_is_bright_where_it_is_high_and_the_kept_part_is_outlined(
    explanation,
):
    polyp, cyst = (
        picture(one['picture']).astype(int)
        for one in explanation_content(explanation)['similarity']
    )
    assert polyp[20, 8].sum() > polyp[20, 70].sum() + 60
    assert cyst[32, 60].sum() > cyst[8, 60].sum() + 60
    # The border between kept and not kept lies at column 40: black beside blue.
    assert polyp[20, 36:44].sum(axis=1).min() < 150


def test_color_scale_goes_from_blue_to_yellow():
    scale = color_scale().astype(int)
    assert scale.shape == (1, 256, 3)
    assert scale[0, 0, 2] > scale[0, 0, 0] + 50
    assert scale[0, -1, 0] > scale[0, -1, 2] + 100


def test_explainer_gives_the_results_of_explain_and_predict_at_gate(checkpoint, pixels):
    model = load_segmentor(checkpoint, device='cpu')
    # A gate of the model that is neither 0 nor 1.
    model.decode_head.intervention.gate.fill_(0.75)
    explainer = Explainer(model)
    assert explainer.gate == 0.75
    blue_first = pixels[..., ::-1]

    whole = explainer.explanation(pixels)
    probability = LesionProbability(predict_at_gate(model, blue_first, 0.75))
    assert whole['gate'] == 0.75
    assert whole['mask'] == prediction_content(pixels, probability, 0.75)['mask']
    attention = explain(model, blue_first).attention
    weights = [one['weight'] for one in whole['confounders']]
    assert whole['flag'] is None
    assert weights == pytest.approx(sorted(attention, reverse=True))

    other = explainer.prediction(pixels, 0.0)
    without = LesionProbability(predict_at_gate(model, blue_first, 0.0))
    assert other == prediction_content(pixels, without, 0.0)
    assert other['probability'] != whole['probability']


def test_unusual_image_is_flagged_if_the_checkpoint_has_a_site_reference(
    checkpoint, pixels
):
    model = load_segmentor(checkpoint, device='cpu')
    dictionary = model.decode_head.dictionary
    names = dictionary.prompts.confounder_names
    # Training images on which every score was 2, which no cosine is.
    scores = np.full((20, len(names)), 2.0)
    embeddings = 1e3 + np.random.default_rng(0).normal(size=(20, 128))
    model.site_reference = site_reference(
        scores, embeddings, ['a'] * 20, names, dictionary.stored_fingerprint
    ).to_text()
    flag = Explainer(model).explanation(pixels)['flag']
    assert flag['unusual'] is True
    assert flag['less'] == list(names)
    assert flag['more'] == []


def test_shown_probability_is_calibrated_and_masks_are_those_of_the_network():
    image = np.full((10, 20, 3), 128, np.uint8)
    own = np.full((10, 20), 0.05, np.float32)
    own[:, :4], own[:, 4:10] = 0.9, 0.2
    calibrated = np.full((10, 20), 0.55, np.float32)
    answer = prediction_content(image, LesionProbability(own, calibrated), 1, 0.2)
    assert answer['calibrated'] is True
    assert answer['highest'] == pytest.approx(0.55)
    assert answer['marked'] == 0.2
    # A probability equal to the threshold is marked.
    assert answer['conformal']['marked'] == 0.5
    plain = prediction_content(image, LesionProbability(own), 1)
    assert (plain['calibrated'], plain['conformal']) == (False, None)
    assert plain['highest'] == pytest.approx(0.9)


def test_probability_is_calibrated_at_every_gate_by_the_checkpoints_temperature(
    checkpoint, pixels
):
    model = load_segmentor(checkpoint, device='cpu')
    model.temperature = (2.0,)
    explainer = Explainer(model)
    own = predict_at_gate(model, pixels[..., ::-1], explainer.gate).astype(float)
    # log-odds halved
    expected = 1 / (1 + np.sqrt((1 - own) / own))
    whole = explainer.explanation(pixels)
    assert whole['calibrated'] is True
    assert whole['highest'] == pytest.approx(expected.max(), abs=1e-5)
    own = predict_at_gate(model, pixels[..., ::-1], 0.0).astype(float)
    expected = 1 / (1 + np.sqrt((1 - own) / own))
    other = explainer.prediction(pixels, 0.0)
    assert other['highest'] == pytest.approx(expected.max(), abs=1e-5)


def test_guarantee_is_one_sentence_with_level_risk_and_assumption():
    conformal = dict(threshold=0.1, level=0.125, risk='lesions', sites=[*'abcdefgh'])
    assert guarantee(conformal) == (
        'The expected miss is at most 12.5 % of lesions, on average over new '
        'hospitals, if these are exchangeable with the 8 sites of the records, as if '
        'drawn from the same population.'
    )


@pytest.mark.parametrize(
    'lacking', [dict(risk=None), dict(risk='all'), dict(sites=[]), dict(sites=None)]
)
def test_a_threshold_without_a_known_risk_or_sites_is_refused(lacking):
    conformal = dict(threshold=0.1, level=0.3, risk='area', sites=['a'])
    with pytest.raises(ValueError, match='does not say what its threshold guarantees'):
        guarantee({**conformal, **lacking})


def test_a_model_without_mcdrl_is_refused(checkpoint):
    model = load_segmentor(checkpoint, device='cpu')
    model.decode_head = model.decode_head.predictor
    with pytest.raises(ValueError, match='CausalInterventionHead'):
        Explainer(model)


def test_padded_positions_are_not_drawn(explanation):
    """The right half is padding: all of the image is kept, and half of it similar."""
    padded = replace(explanation, window=(0.0, 1.0, 0.0, 0.5))
    shown = picture(explanation_content(padded)['similarity'][0]['picture'])
    unpadded = picture(explanation_content(explanation)['similarity'][0]['picture'])
    # Yellow where the class is similar: half of the image, and not a quarter.
    assert shown[20, 25, 0] > 100 > unpadded[20, 25, 0]
