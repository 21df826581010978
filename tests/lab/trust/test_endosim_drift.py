from dataclasses import replace

import numpy as np
import pytest

from mcdrl_lab.commands import main
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import append_record
from mcdrl_lab.simulation.drawing import draw
from mcdrl_lab.simulation.hospitals import SITES
from mcdrl_lab.simulation.scene import CONFOUNDERS
from mcdrl_lab.simulation.simulated_sites import Benchmark
from mcdrl_lab.trust.dice_predictors import BOTH
from mcdrl_lab.trust.endosim_drift import (
    DrawRanks,
    NamedConditions,
    named_conditions,
    precision_and_recall,
    ranks_of_draw,
    true_rates,
    truly_different,
)
from mcdrl_lab.trust.endosim_drift_command import ranks_text
from mcdrl_lab.trust.within_sites import Estimate


def test_true_rates_match_hand_worked_values():
    # At home 0.8 with lesions (75 %) and 0.1 without; elsewhere 0.05 and 0.25.
    rates = dict(zip(CONFOUNDERS, true_rates('endosim_b', 1.0)))
    assert rates['dark'] == pytest.approx(0.75 * 0.8 + 0.25 * 0.1)
    assert rates['mucus'] == pytest.approx(0.75 * 0.05 + 0.25 * 0.25)
    # Blur goes with two of five classes at every site.
    assert rates['blur'] == pytest.approx(0.75 * (0.4 * 0.7 + 0.6 * 0.1) + 0.25 * 0.1)


def test_each_site_truly_differs_in_its_own_conditions():
    assert truly_different('endosim_b', 1.0) == {'dark lighting': 1, 'artifacts': 1}
    # Narrow-band imaging leaves less room for white light.
    assert truly_different('endosim_a', 1.0) == {
        'narrow-band imaging': 1,
        'white light imaging': -1,
        'mucus': 1,
    }


def test_sites_that_share_all_rates_do_not_differ():
    assert truly_different('endosim_a', 0.0) == {}


def test_precision_and_recall_match_hand_worked_values():
    results = [
        NamedConditions(0, 'a', dict(dark=1, blur=1), dict(dark=1, blood=1)),
        # The wrong direction is wrong on both counts.
        NamedConditions(0, 'b', dict(near=-1), dict(near=1)),
        NamedConditions(0, 'c', {}, {}),
    ]
    assert precision_and_recall(results) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert precision_and_recall(results[2:]) == (None, None)


def test_encoder_of_brightness_names_bright_lighting_at_its_own_site():
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


@pytest.fixture
def made(tmp_path, make_record, make_image):
    """Encoder, benchmark, folder of records; Dice is light / 2 + self-Dice / 4."""
    benchmark = Benchmark(images_per_site=24, size=32, spurious=1.0, seed=0)
    rng = np.random.default_rng(0)

    def encode(images):
        light = images.reshape(len(images), -1).mean(axis=1) / 255
        return light[:, None] * np.eye(12)[2], np.eye(len(images))

    for site in SITES:
        scenes = {n: benchmark.scene(site, n) for n in range(24)}
        scenes = {n: scene for n, scene in scenes.items() if scene.lesion is not None}
        images = [draw(scene, size=32)[0] for scene in scenes.values()]
        light = encode(np.stack(images))[0][:, 2]
        told = rng.uniform(0, 1, len(scenes))
        records = []
        for n, x, y in zip(scenes, light, told, strict=True):
            image = make_image(f'images/{n:05d}.png', x / 2 + y / 4)
            bare = make_image(f'images/{n:05d}.png', x)
            told_too = image | dict(self_dice=y, mean_confidence=0.9)
            records.append((told_too, bare))
        for name, part in (('told.jsonl', 0), ('bare.jsonl', 1)):
            record = make_record('a', site, images=[pair[part] for pair in records])
            append_record(tmp_path / name, record)
    return encode, benchmark, tmp_path


@pytest.mark.usefixtures('few_draws')
def test_dice_of_conditions_and_confidence_is_predicted_from_both(made):
    encode, benchmark, folder = made
    found = ranks_of_draw(encode, benchmark, folder / 'told.jsonl')
    lesions = [
        benchmark.scene(site, n).lesion is not None for site in SITES for n in range(24)
    ]
    assert (found.seed, found.images) == (0, sum(lesions))
    assert found.ranks[BOTH].value > 0.99
    for name in ('conditions', 'confidence'):
        assert 0.2 < found.ranks[name].value < 0.95
    assert set(found.site_errors[BOTH]) == set(SITES)
    assert max(map(abs, found.site_errors[BOTH].values())) < 0.01


def test_records_of_another_draw_are_refused(made):
    encode, benchmark, folder = made
    with pytest.raises(
        ProtocolError, match='from another draw than --seeds 3: at endosim_'
    ):
        ranks_of_draw(encode, replace(benchmark, seed=3), folder / 'told.jsonl')


@pytest.mark.usefixtures('few_draws')
def test_dice_of_older_records_is_predicted_from_the_images_alone(made):
    encode, benchmark, folder = made
    found = ranks_of_draw(encode, benchmark, folder / 'bare.jsonl')
    assert list(found.ranks) == ['conditions', 'embedding']
    assert found.ranks['conditions'].value > 0.99


def test_table_over_draws_has_hand_worked_means_and_intervals():
    def of(seed, conditions, confidence):
        ranks = dict(
            conditions=Estimate(conditions, 0, 1), confidence=Estimate(confidence, 0, 1)
        )
        errors = dict(conditions=dict(a=-0.2, b=0.1), confidence=dict(a=0.05, b=0.0))
        return DrawRanks(seed, 60, ranks, errors)

    text = ranks_text([of(1, 0.2, 0.4), of(2, 0.4, 0.8)])
    lines = [' '.join(line.split()) for line in text.splitlines()]
    assert 'draw 1, 60 images 0.20 (0.00 to 1.00) 0.40 (0.00 to 1.00)' in lines
    # Student's t of one degree, 12.706, times the standard errors 0.1 and 0.2.
    assert 'mean 0.30 (-0.97 to 1.57) 0.60 (-1.94 to 3.14)' in lines
    # Conditions less confidence: -0.2 and -0.4.
    assert 'less confidence -0.30 (-1.57 to +0.97) -' in lines
    assert 'Dice: conditions 20 points, confidence 5 points' in lines[-1]


def test_each_draw_needs_its_own_records(capsys):
    assert main(['endosim-drift', '--seeds', '1', '2', '--records', 'a']) == 2
    assert '1 --records for 2 --seeds' in capsys.readouterr().err
