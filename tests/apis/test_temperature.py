import math

import numpy as np
import pytest
import torch

from mcdrl_mmseg.apis import CheckpointError, MCDRLInferencer, load_segmentor
from mcdrl_mmseg.apis.image_pipeline import lesion_probability
from mcdrl_mmseg.apis.temperature import (
    META_KEY,
    calibrated_probability,
    divide_logits,
    temperature_of,
)


def test_log_odds_of_each_lesion_class_are_divided_by_its_own_temperature():
    logits = torch.tensor([1.0, 3.0, -3.0]).reshape(3, 1, 1)
    divided = divide_logits(logits, (2.0, 4.0)).flatten()
    assert divided.tolist() == [1.0, 1.0 + 2.0 / 2, 1.0 - 4.0 / 4]


def test_calibrated_probability_is_that_of_the_divided_log_odds():
    logits = torch.tensor([0.5, 2.5]).reshape(2, 1, 1)
    # Log-odds 2, divided by 2: 1 / (1 + e^-1).
    expected = 1 / (1 + math.exp(-1))
    assert calibrated_probability(logits, (2.0,)).item() == pytest.approx(expected)
    one_channel = torch.tensor(2.0).sigmoid().reshape(1, 1, 1)
    assert calibrated_probability(one_channel, (2.0,)).item() == pytest.approx(expected)


def test_probabilities_of_0_and_1_in_one_channel_stay_unchanged():
    scores = torch.tensor([0.0, 0.5, 1.0]).reshape(1, 1, 3)
    assert calibrated_probability(scores, (3.0,)).tolist() == [[0.0, 0.5, 1.0]]


def test_temperatures_never_move_a_pixel_between_lesion_and_background():
    logits = torch.randn(4, 3, 50, 50, generator=torch.Generator().manual_seed(0))
    before = logits.argmax(dim=1) > 0
    after = divide_logits(logits, (0.3, 7.0)).argmax(dim=1) > 0
    assert torch.equal(before, after)
    probability = calibrated_probability(logits[0, :2], (5.0,))
    assert torch.equal(probability > 0.5, lesion_probability(logits[0, :2]) > 0.5)


@pytest.mark.parametrize(
    'values',
    ['1', [1.0, 2.0], [0.0], [math.nan], [math.inf], [True], [], {}, 2.0, [10**400]],
)
def test_invalid_temperatures_are_refused_with_the_name_of_the_file(values):
    with pytest.raises(CheckpointError, match=r'best\.pth.*1 positive numbers'):
        temperature_of({'meta': {META_KEY: values}}, 2, 'best.pth')


def test_error_for_a_long_list_of_temperatures_is_short():
    with pytest.raises(CheckpointError) as caught:
        temperature_of({'meta': {META_KEY: [1.0] * 10**5}}, 2, 'best.pth')
    assert len(str(caught.value)) < 500


def test_temperature_is_read_from_the_checkpoint_and_none_if_absent():
    assert temperature_of({'state_dict': {}}, 2, 'a.pth') is None
    assert temperature_of({'meta': {'epoch': 1}}, 2, 'a.pth') is None
    assert temperature_of({'meta': {META_KEY: [2]}}, 2, 'a.pth') == (2.0,)
    assert temperature_of({'meta': {META_KEY: [2]}}, 1, 'a.pth') == (2.0,)


def test_inferencer_gives_calibrated_and_uncalibrated_probability_and_one_mask(
    tmp_path, checkpoint_content, picture
):
    content = checkpoint_content()
    torch.save(content, tmp_path / 'plain.pth')
    content['meta'][META_KEY] = [3.0]
    torch.save(content, tmp_path / 'calibrated.pth')
    (plain,), (calibrated,) = (
        list(MCDRLInferencer(weights=str(path), device='cpu').predict([picture]))
        for path in (tmp_path / 'plain.pth', tmp_path / 'calibrated.pth')
    )
    assert plain.network_probability is None
    np.testing.assert_array_equal(plain.labels, calibrated.labels)
    np.testing.assert_array_equal(
        plain.lesion_probability, calibrated.network_probability
    )
    odds = torch.from_numpy(plain.lesion_probability).double().logit() / 3
    np.testing.assert_allclose(
        calibrated.lesion_probability, odds.sigmoid().numpy(), atol=1e-5
    )
    assert abs(calibrated.lesion_probability - plain.lesion_probability).max() > 0.05


def test_inferencer_applies_the_threshold_to_the_uncalibrated_probability(
    tmp_path, checkpoint_content, picture
):
    content = checkpoint_content()
    content['meta'][META_KEY] = [3.0]
    torch.save(content, tmp_path / 'calibrated.pth')
    inferencer = MCDRLInferencer(
        weights=str(tmp_path / 'calibrated.pth'), device='cpu', show_progress=False
    )
    (plain,) = inferencer.predict([picture])
    assert plain.conformal_mask is None
    # Only the highest pixel reaches the threshold, and is marked.
    threshold = float(plain.network_probability.max())
    (found,) = inferencer.predict([picture], threshold=threshold)
    expected = plain.network_probability == plain.network_probability.max()
    np.testing.assert_array_equal(found.conformal_mask, expected)
    assert not (plain.lesion_probability >= np.float32(threshold)).all()
    np.testing.assert_array_equal(found.labels, plain.labels)


def test_exported_logits_and_description_are_calibrated(tmp_path, checkpoint_content):
    from mcdrl_mmseg.apis.export.deployable import DeployableSegmentor
    from mcdrl_mmseg.apis.export.metadata import describe

    content = checkpoint_content()
    torch.save(content, tmp_path / 'plain.pth')
    content['meta'][META_KEY] = [3.0]
    torch.save(content, tmp_path / 'calibrated.pth')
    plain, calibrated = (
        DeployableSegmentor(load_segmentor(tmp_path / name, device='cpu'))
        for name in ('plain.pth', 'calibrated.pth')
    )
    images = torch.randint(0, 256, (1, 3, 128, 128), dtype=torch.uint8)
    with torch.no_grad():
        before, after = plain(images)[0], calibrated(images)[0]
    torch.testing.assert_close((after[1] - after[0]) * 3, before[1] - before[0])
    assert describe(plain, (128, 128), None)['temperature'] is None
    assert describe(calibrated, (128, 128), None)['temperature'] == [3.0]
