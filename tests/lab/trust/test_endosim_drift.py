import numpy as np
import pytest

from mcdrl_lab.plans.records import append_record
from mcdrl_lab.simulation.drawing import draw
from mcdrl_lab.simulation.hospitals import SITES
from mcdrl_lab.simulation.scene import CONFOUNDERS
from mcdrl_lab.simulation.simulated_sites import Benchmark
from mcdrl_lab.trust.endosim_drift import (
    NamedConditions,
    expected_dice_of_draw,
    named_conditions,
    precision_and_recall,
    true_rates,
    truly_different,
)


def test_true_rates_by_hand():
    # At home 0.8 with lesions (75 %) and 0.1 without; elsewhere 0.05 and 0.25.
    rates = dict(zip(CONFOUNDERS, true_rates('endosim_b', 1.0)))
    assert rates['dark'] == pytest.approx(0.75 * 0.8 + 0.25 * 0.1)
    assert rates['mucus'] == pytest.approx(0.75 * 0.05 + 0.25 * 0.25)
    # Blur goes with two of five classes at every site.
    assert rates['blur'] == pytest.approx(0.75 * (0.4 * 0.7 + 0.6 * 0.1) + 0.25 * 0.1)


def test_two_conditions_are_at_home_at_each_site():
    assert truly_different('endosim_b', 1.0) == {'dark lighting': 1, 'artifacts': 1}
    # Narrow-band imaging leaves less room for white light.
    assert truly_different('endosim_a', 1.0) == {
        'narrow-band imaging': 1,
        'white light imaging': -1,
        'mucus': 1,
    }


def test_sites_that_share_all_rates_do_not_differ():
    assert truly_different('endosim_a', 0.0) == {}


def test_precision_and_recall_by_hand():
    results = [
        NamedConditions(0, 'a', dict(dark=1, blur=1), dict(dark=1, blood=1)),
        # The wrong direction is wrong on both counts.
        NamedConditions(0, 'b', dict(near=-1), dict(near=1)),
        NamedConditions(0, 'c', {}, {}),
    ]
    assert precision_and_recall(results) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert precision_and_recall(results[2:]) == (None, None)


def test_encoder_that_sees_brightness_names_it_at_its_home():
    def encode(images):
        # Only the third condition, bright lighting, and the fourth, dark lighting.
        light = images.reshape(len(images), -1).mean(axis=1) / 255
        scores = np.zeros((len(images), 12))
        scores[:, 2], scores[:, 3] = light, -light
        noise = np.random.default_rng(0).normal(size=(len(images), 4))
        return scores, noise

    results = named_conditions(encode, [0], images_per_site=40)
    named = {result.site: result.named for result in results}
    assert named['endosim_c']['bright lighting'] == 1
    assert set().union(*named.values()) <= {'bright lighting', 'dark lighting'}


def test_dice_that_follows_a_condition_is_told_from_it(
    tmp_path, make_record, make_image
):
    benchmark = Benchmark(images_per_site=12, size=32, spurious=1.0, seed=0)

    def encode(images):
        light = images.reshape(len(images), -1).mean(axis=1) / 255
        return light[:, None] * np.eye(12)[2], np.eye(len(images))

    for site in SITES:
        images = [draw(benchmark.scene(site, n), size=32)[0] for n in range(12)]
        light = encode(np.stack(images))[0][:, 2]
        records = [make_image(f'images/{n:05d}.png', x) for n, x in enumerate(light)]
        append_record(tmp_path / 'r.jsonl', make_record('a', site, images=records))
    model = expected_dice_of_draw(encode, benchmark, tmp_path / 'r.jsonl')
    assert model.images == 60
    assert model.rank_correlation > 0.99
