import numpy as np
import pytest
import torch

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.results import invariance_measurement as invariance
from mcdrl_lab.results.features import NO_LESION
from mcdrl_lab.results.invariance_measurement import (
    draw_pairs,
    draw_probe_scenes,
    measure_pairs,
    measure_probes,
    predict_masks,
)
from mcdrl_lab.simulation.drawing import draw
from mcdrl_lab.simulation.hospitals import SITES
from mcdrl_lab.simulation.scene import CONFOUNDERS
from mcdrl_lab.simulation.simulated_sites import Benchmark

BENCHMARK = Benchmark(images_per_site=6, size=64, spurious=1.0, seed=3)


@pytest.fixture(scope='module')
def pairs():
    return draw_pairs(BENCHMARK, 'endosim_b', 2)


@pytest.fixture(scope='module')
def model(new_model, pairs):
    """A model that predicts lesion in about half of all pixels."""
    model = new_model()
    images = pairs['blur'][0].images
    for batch in invariance._batches(model, images):
        logits = torch.stack([s.seg_logits.data for s in model.test_step(batch)])
    median = (logits[:, 1] - logits[:, 0]).median()
    model.decode_head.predictor.conv_seg.bias.data[1] -= median
    return model


def test_pairs_are_the_first_scenes_of_the_site_that_have_a_lesion(pairs):
    scenes = [BENCHMARK.scene('endosim_b', n) for n in range(6)]
    chosen = [s for s in scenes if s.lesion][:2]
    assert list(pairs) == list(CONFOUNDERS)
    for absent, present in pairs.values():
        assert absent.images.shape == present.images.shape == (2, 64, 64, 3)
        assert absent.masks.any(axis=(1, 2)).all()
    # A scene without any mucus is its own counterpart.
    number = next(n for n, s in enumerate(chosen) if s.confounders.mucus == 0)
    image, _ = draw(chosen[number], size=64)
    assert np.array_equal(pairs['mucus'][0].images[number], image[..., ::-1])


def test_requesting_more_scenes_than_the_site_has_is_an_error():
    with pytest.raises(ProtocolError, match='--scenes 7: endosim_b has only'):
        draw_pairs(BENCHMARK, 'endosim_b', 7)


def test_predictions_do_not_depend_on_the_batch_size(model, pairs, monkeypatch):
    images = pairs['blur'][0].images
    images = np.concatenate([images, images[::-1]])
    together = predict_masks(model, images)
    monkeypatch.setattr(invariance, '_BATCH', 3)
    apart = predict_masks(model, images)
    assert together.shape == (4, 64, 64)
    assert together.dtype == bool
    assert 0 < together.mean() < 1
    assert (together == apart).mean() > 0.999
    assert (together[0] == together[3]).mean() > 0.999


def test_a_model_that_predicts_the_true_masks_has_full_scores(
    model, pairs, monkeypatch
):
    truth = {p.images.tobytes(): p.masks for pair in pairs.values() for p in pair}
    monkeypatch.setattr(
        invariance, 'predict_masks', lambda _, images: truth[images.tobytes()]
    )
    scores = measure_pairs(model, pairs)
    assert {name for name, s in scores.items() if s.agreement == 1} == {
        *CONFOUNDERS
    } - {'near', 'far'}
    assert all(s.dice_absent == s.dice_present == 1 for s in scores.values())


def test_probe_scenes_are_independent_of_sites_or_drawn_from_all_sites_in_turn():
    independent, by_site = draw_probe_scenes(BENCHMARK, 7)
    assert independent.sites == ()
    assert by_site.sites == (*SITES, *SITES[:2])
    for scenes in (independent, by_site):
        assert len(scenes.pictures.images) == len(scenes.lesions) == 7
        assert scenes.conditions.shape == (7, len(CONFOUNDERS))
        healthy = [lesion == NO_LESION for lesion in scenes.lesions]
        assert healthy == [not mask.any() for mask in scenes.pictures.masks]
    assert not np.array_equal(
        independent.pictures.images[:1], by_site.pictures.images[:1]
    )


def test_every_label_is_probed_before_and_after_the_intervention(model, monkeypatch):
    asked = []

    def probe_accuracy(features, labels):
        asked.append((features.shape, tuple(labels)))
        return len(asked)

    monkeypatch.setattr(invariance, 'probe_accuracy', probe_accuracy)
    independent, by_site = draw_probe_scenes(BENCHMARK, 5)
    scores = measure_probes(model, independent, by_site)
    assert list(scores) == ['site', 'lesion', *CONFOUNDERS]
    assert all(list(found) == ['F', 'F_ca'] for found in scores.values())
    assert {shape for shape, _ in asked} == {(5, 128)}
    told = dict(zip(['lesion', *CONFOUNDERS, 'site'], [b for _, b in asked[::2]]))
    assert told['lesion'] == independent.lesions
    assert told['site'] == SITES
    assert told['nbi'] == tuple(independent.conditions[:, 5])


def test_without_an_intervention_there_is_nothing_to_probe(new_model):
    model = new_model(intervention=None, loss_causal=None)
    assert measure_probes(model, *draw_probe_scenes(BENCHMARK, 5)) is None
