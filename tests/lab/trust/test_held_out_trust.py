"""Coverage, flags and calibration at held-out sites, on records made by hand."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mcdrl_lab.commands import main
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import append_record
from mcdrl_lab.results.conformal import site_curves
from mcdrl_lab.trust.builtin_encoder import endoscopy_encoder
from mcdrl_lab.trust.held_out_trust import (
    MEAN_CONFIDENCE,
    SELF_DICE,
    calibrations,
    coverage,
    distances,
    flags,
)
from mcdrl_lab.trust.held_out_trust_command import coverage_text, flags_text
from mcdrl_lab.trust.recorded_dice import RecordedImage


def missed(*area):
    return dict(
        images=3, thresholds=[0.0, 0.5, 1.0], area=list(area), lesions=list(area)
    )


@pytest.fixture
def curves(make_record):
    """At 0.5 three sites miss 0.1 and one misses 0.8; at 1 all miss everything."""
    losses = dict(s0=0.1, s1=0.1, s2=0.1, s3=0.8)
    return site_curves(
        make_record('a', site, sites={site: dict(missed=missed(0.0, loss, 1.0))})
        for site, loss in losses.items()
    )


def test_coverage_matches_hand_worked_values(curves):
    # With s3 among the three others (0.1 + 0.1 + 0.8 + 1) / 4 > 0.4, so threshold 0;
    # from s0 to s2 (0.3 + 1) / 4 <= 0.4, so 0.5, which misses 0.8 at s3.
    found = coverage(curves, 0.4)
    assert found.thresholds == (0.0, 0.0, 0.0, 0.5)
    assert found.losses == (0.0, 0.0, 0.0, 0.8)
    assert found.plain == (0.1, 0.1, 0.1, 0.8)
    assert (found.mean, found.within) == (0.2, 3)
    text = coverage_text(curves.sites, [found])
    assert '0.5: 0.800' in text
    assert 'sites within the level, of 4: 3 at 0.4' in text


def test_level_that_the_other_sites_cannot_guarantee_is_refused(curves):
    with pytest.raises(ProtocolError, match=r'with one held out, the smallest .* 1/4'):
        coverage(curves, 0.2)


def images_of(dice, told, sites):
    return [
        RecordedImage(site, Path(f'{n}.png'), d, None, t)
        for n, (d, t, site) in enumerate(zip(dice, told, sites, strict=True))
    ]


@pytest.fixture
def tried():
    """Dice that the self-Dice predicts and the mean confidence does not."""
    rng = np.random.default_rng(0)
    dice = np.tile(np.linspace(0.05, 0.95, 10), 6)
    sites = np.repeat(['a', 'b', 'c'], 20)
    told = [(d, 0.9) for d in dice]
    scores, embeddings = rng.normal(size=(60, 2)), rng.normal(size=(60, 4))
    return images_of(dice, told, sites), scores, embeddings


@pytest.mark.usefixtures('few_draws')
def test_flags_match_hand_worked_values(tried):
    found = flags(*tried, failure=0.3)
    # 0.05, 0.15 and 0.25 of each ten.
    assert found.failures == dict(a=6, b=6, c=6)
    assert found.images == dict(a=20, b=20, c=20)
    assert found.areas[SELF_DICE].value == 1
    assert found.areas[MEAN_CONFIDENCE].value == 0.5
    assert found.gains[SELF_DICE].value == 0.5
    assert found.by_site['b'][SELF_DICE].value == 1
    assert found.ranks['confidence'].value > 0.999
    assert abs(found.ranks['conditions'].value) < 0.5
    text = flags_text(found, 0.3)
    assert 'Dice below 0.3 (a 6 of 20, b 6 of 20, c 6 of 20; of these 0 with' in text
    line = next(x for x in text.splitlines() if x.startswith(SELF_DICE))
    assert '1.00 (1.00 to 1.00)' in line and '+0.50 (+0.50 to +0.50)' in line


@pytest.mark.usefixtures('few_draws')
def test_empty_masks_are_counted_and_areas_also_given_without_them(tried):
    images, scores, embeddings = tried
    # The first image of each site marks nothing; among the others confidence is wrong.
    changed = [
        RecordedImage(
            i.site, i.path, i.dice, None, (0.0 if not n % 20 else 1 - i.dice, 1)
        )
        for n, i in enumerate(images)
    ]
    found = flags(changed, scores, embeddings)
    assert found.empty == 3
    assert found.marked[SELF_DICE].value == 0
    assert 0 < found.areas[SELF_DICE].value < 0.5


@pytest.mark.usefixtures('few_draws')
def test_site_without_failures_has_no_area(tried):
    images, scores, embeddings = tried
    fine = [i for i in images if i.site != 'c'] + images_of(
        [0.9] * 20, [(0.9, 0.9)] * 20, ['c'] * 20
    )
    found = flags(fine, scores, embeddings)
    assert found.failures['c'] == 0
    assert np.isnan(found.by_site['c'][SELF_DICE].value)
    assert not np.isnan(found.areas[SELF_DICE].value)
    assert ' - ' in flags_text(found, 0.3).replace('\n', ' \n')


def test_records_without_confidence_are_refused(tried):
    images, scores, embeddings = tried
    bare = [RecordedImage(i.site, i.path, i.dice) for i in images]
    with pytest.raises(ProtocolError, match='lacks how confident'):
        flags(bare, scores, embeddings)


def test_distance_is_measured_from_the_other_sites(tried):
    images, scores, embeddings = tried
    sites = [image.site for image in images]
    moved = embeddings + 9.0 * (np.array(sites) == 'c')[:, None]
    found = distances(scores, moved, sites)
    assert found[40:].min() > found[:40].max()


def test_encoder_of_real_endoscopy_reads_image_files(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8)
    for name in ('a.png', 'b.png'):
        cv2.imwrite(str(tmp_path / name), pixels)
    scores, embeddings = endoscopy_encoder()([tmp_path / 'a.png', tmp_path / 'b.png'])
    assert scores.shape == (2, 12) and embeddings.shape == (2, 256)
    assert np.linalg.norm(embeddings, axis=1) == pytest.approx(1)
    assert scores[0] == pytest.approx(scores[1])


@pytest.fixture
def plan_of(tmp_path, make_record):
    """Writes the records of a plan of n sites."""

    def write(sites):
        for n in range(sites):
            kept = {f's{n}': dict(missed=missed(0.0, 0.1, 1.0))}
            record = make_record('a', f's{n}', 0, [0.5], sites=kept)
            append_record(tmp_path / 'records.jsonl', record)
        return tmp_path

    return write


@pytest.fixture
def plan(plan_of):
    return plan_of(4)


@pytest.mark.parametrize(
    ('sites', 'tested', 'left'),
    [
        (2, [], 'not tested: 0.2, 0.3, 0.4. With one of 2 sites held out, the smalles'),
        (3, ['0.4'], 'not tested: 0.2, 0.3. With one of 3 sites held out, the smalles'),
        (4, ['0.3', '0.4'], 'not tested: 0.2. With one of 4 sites held out, the small'),
        (5, ['0.2', '0.3', '0.4'], None),
    ],
)
def test_by_default_levels_are_tested_that_the_sites_can_guarantee(
    plan_of, capsys, sites, tested, left
):
    # With one of n held out, the n - 1 others guarantee 1 / n and more.
    assert main(['held-out-trust', str(plan_of(sites))]) == 0
    shown = capsys.readouterr().out
    assert [x for x in ('0.2', '0.3', '0.4') if f'{sites} at {x}' in shown] == tested
    assert left in shown if left else 'not tested' not in shown
    assert ('Use higher --levels.' in shown) is (sites == 2)


def test_a_plan_of_one_site_has_no_other_sites_to_choose_on(plan_of, capsys):
    assert main(['held-out-trust', str(plan_of(1))]) == 2
    assert 'the only held-out site is s0' in capsys.readouterr().err


def test_command_prints_coverage_and_names_what_is_missing(plan, capsys):
    assert main(['held-out-trust', str(plan), '--levels', '0.4']) == 0
    assert '0.5: 0.100' in capsys.readouterr().out
    for arguments, why in (
        (['--levels', '0.1'], 'the others can guarantee is 1/4. Use higher --levels.'),
        (['--failure', '30'], '(0, 1]'),
        (['--levels', '0.4', '--data-root', str(plan)], 's0/i0, an image of the rec'),
        (['--levels', '0.4', '--calibrate'], 'has no checkpoint of the run'),
        (['--method', 'b'], "no method 'b'"),
    ):
        assert main(['held-out-trust', str(plan), *arguments]) == 2
        assert why in capsys.readouterr().err


def test_calibration_needs_the_run_folders_of_the_plan(plan):
    with pytest.raises(ProtocolError, match='in which the plan was run'):
        next(calibrations(plan, 'a'))


def test_calibration_from_the_records_alone_is_refused(plan):
    with pytest.raises(ProtocolError, match='needs the checkpoints of the runs'):
        next(calibrations(plan / 'records.jsonl', 'a'))
