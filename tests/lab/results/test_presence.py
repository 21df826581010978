import json
import math
from dataclasses import replace

import pytest

from mcdrl_common.threshold_file import PRESENCE
from mcdrl_lab.commands import main
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import append_record
from mcdrl_lab.results.presence import (
    SiteResult,
    held_out_results,
    lost_dice,
    presence_scores,
    presence_table,
    presence_threshold,
    site_result,
)

# (self_dice, Dice) of images with a lesion, (self_dice, false positive) of others.
SITES = {
    's1': ([(0.9, 0.8), (0.2, 0.4)], [(0.3, 1.0), (0.0, 0.0)]),
    's2': ([(0.8, 0.6), (0.5, 0.2)], [(0.45, 1.0)]),
    's3': ([(0.7, 0.9)], []),
}


def images(lesions, lesion_free):
    """Per-image records, as SiteLesionMetric keeps them."""
    with_lesion = [
        dict(has_lesion=True, dice=dice, self_dice=own) for own, dice in lesions
    ]
    without = [
        dict(has_lesion=False, false_positive=false, self_dice=own)
        for own, false in lesion_free
    ]
    return [
        dict(image=f'i{n}', sequence=None, **record)
        for n, record in enumerate(with_lesion + without)
    ]


@pytest.fixture
def records(make_record):
    return [
        make_record('mcdrl', site, 0, images=images(*parts))
        for site, parts in SITES.items()
    ]


@pytest.fixture
def scores(records):
    return presence_scores(records)


def test_lost_dice_is_a_mean_over_sites_of_means_over_images_with_a_lesion(scores):
    lost = lost_dice(scores.images)
    # Above 0.2 s1 loses 0.4 of two images, above 0.5 s2 loses 0.2 of two.
    assert lost[20] == 0
    assert lost[21] == pytest.approx(100 * (0.4 / 2) / 3)
    assert lost[51] == pytest.approx(100 * (0.4 / 2 + 0.2 / 2) / 3)
    assert lost[100] == pytest.approx(100 * (0.6 + 0.4 + 0.9) / 3)


@pytest.mark.parametrize(
    ('loss', 'threshold'), [(0, 0.2), (6.6, 0.2), (6.7, 0.5), (10, 0.7), (100, 1.0)]
)
def test_the_threshold_is_the_largest_that_costs_no_more_than_the_loss(
    scores, loss, threshold
):
    assert presence_threshold(scores.images, loss) == threshold


def test_a_mask_at_the_threshold_stays_and_one_below_is_empty(scores):
    here = scores.images[scores.images.site == 's1']
    assert site_result(here) == SiteResult(
        dice=pytest.approx(60),
        dice_all=pytest.approx(100 * (0.8 + 0.4 + 0 + 1) / 4),
        false_positive=50,
        missed=0,
    )
    assert site_result(here, 0.2) == site_result(here)
    assert site_result(here, 0.31) == SiteResult(
        dice=pytest.approx(40),
        dice_all=pytest.approx(100 * (0.8 + 0 + 1 + 1) / 4),
        false_positive=0,
        missed=50,
    )


def test_a_site_without_lesion_free_images_has_no_false_positives_to_count(scores):
    here = scores.images[scores.images.site == 's3']
    assert math.isnan(site_result(here).false_positive)
    assert site_result(here).dice_all == pytest.approx(90)


def test_the_threshold_of_a_held_out_site_comes_from_the_others(scores):
    found = held_out_results(scores, loss=9.0)
    # Of s2 and s3: 0.2 of two images in one of two sites are 5 points.
    assert found['s1'][0] == 0.7
    assert found['s1'][1].dice == pytest.approx(40)
    # Of s1 and s3: 0.4 of two images in one of two sites are 10 points.
    assert found['s2'][0] == 0.2
    assert found['s2'][1] == site_result(scores.images[scores.images.site == 's2'])


def test_only_seeds_that_finished_at_every_site_count_even_if_requested(
    records, make_record
):
    parts = images(*SITES['s1'])
    more = [*records, make_record('mcdrl', 's1', 1, images=parts)]
    assert presence_scores(more).seeds == (0,)
    with pytest.raises(ProtocolError, match='no seed of --seeds has finished'):
        presence_scores(
            [*more, make_record('mcdrl', 's2', 2, images=parts)], seeds=[1, 2]
        )
    # Seed 1 finished at one site only.
    with pytest.raises(
        ProtocolError, match='no seed of --seeds has finished at every site; finished'
    ):
        presence_scores(more, seeds=[1])
    two = [
        make_record('mcdrl', site, seed, images=images(*parts))
        for site, parts in SITES.items()
        for seed in (0, 1)
    ]
    assert presence_scores(two).seeds == (0, 1)
    assert presence_scores(two, seeds=[1]).seeds == (1,)


def test_an_image_whose_pixels_are_all_ignored_is_left_out(records, scores):
    unknown = dict(image='x', sequence=None, has_lesion=False, self_dice=None)
    records[0].images.append({**unknown, 'false_positive': None})
    assert presence_scores(records).images.equals(scores.images)


def test_older_records_without_self_dice_are_refused_and_named(records, make_record):
    old = make_record('mcdrl', 's3', 0, dice=[0.5])
    with pytest.raises(ProtocolError, match=r's3, seed 0: .* lacks the self_dice'):
        presence_scores([*records[:2], old])


def test_bad_losses_and_sites_without_lesions_are_refused(scores):
    for loss in (-0.1, float('nan')):
        with pytest.raises(ProtocolError, match='must be a number of points'):
            presence_threshold(scores.images, loss)
    with pytest.raises(ProtocolError, match='no image with a lesion'):
        presence_threshold(scores.images[~scores.images.has_lesion], 1)


def test_the_table_shows_changed_values_before_and_after_and_others_once(scores):
    rows = presence_table(scores, loss=9.0).splitlines()
    cells = [[cell.strip() for cell in row.strip('|').split('|')] for row in rows]
    assert cells[0] == [
        *('mcdrl', 'threshold', 'Dice', 'all images', 'false positives', 'missed')
    ]
    assert cells[2] == [
        *('s1', '0.70', '60.0 → 40.0', '55.0 → 70.0', '50.0 → 0.0', '0.0 → 50.0')
    ]
    assert cells[3] == ['s2', '0.20', '40.0', '26.7', '100.0', '0.0']


def test_command_prints_the_rule_and_writes_it(tmp_path, records, capsys):
    for record in records:
        append_record(tmp_path / 'records.jsonl', record)
    out = tmp_path / 'presence.json'
    arguments = ['presence', str(tmp_path), '--loss', '6.7', '--out', str(out)]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert 'mcdrl: masks with a self_dice below 0.5 are left empty' in told
    assert '60.0 → 40.0' in told
    written = PRESENCE.read(out)
    assert (written['threshold'], written['loss']) == (0.5, 6.7)
    assert (written['sites'], written['seeds']) == (['s1', 's2', 's3'], [0])
    # These older records do not hold the hash of their network.
    assert 'model_hash' not in written


@pytest.mark.parametrize('last, told', [('a', 'a'), ('b', None), ('', None)])
def test_command_writes_the_model_hash_if_all_records_agree_on_it(
    tmp_path, records, last, told
):
    for record, name in zip(records, ('a', 'a', last)):
        named = replace(record, model_hash=64 * name)
        append_record(tmp_path / 'records.jsonl', named)
    out = tmp_path / 'presence.json'
    assert main(['presence', str(tmp_path), '--out', str(out)]) == 0
    assert PRESENCE.read(out).get('model_hash') == (told and 64 * told)


def test_command_refuses_to_replace_another_file(tmp_path, records, capsys):
    append_record(tmp_path / 'records.jsonl', records[0])
    out = tmp_path / 'mine.json'
    out.write_text(json.dumps({'mine': 1}))
    arguments = ['presence', str(tmp_path), '--out', str(out), '--overwrite']
    assert main(arguments) == 2
    assert 'not written here by an earlier run' in capsys.readouterr().err
    assert json.loads(out.read_text()) == {'mine': 1}


def test_command_replaces_results_of_another_network_or_seed_only_on_request(
    tmp_path, records, capsys
):
    def record(name, seed):
        named = (replace(r, model_hash=64 * name, seed=seed) for r in records)
        for one in named:
            append_record(tmp_path / 'records.jsonl', one)

    def network(*options):
        return main(arguments + list(options)), PRESENCE.read(out)['model_hash'][0]

    out = tmp_path / 'presence.json'
    arguments = ['presence', str(tmp_path), '--out', str(out)]
    record('a', 0)
    assert network() == (0, 'a')
    record('a', 1)
    assert network() == (0, 'a')
    assert network('--seeds', '0') == (2, 'a')
    assert 'was made with --seeds all' in capsys.readouterr().err
    (tmp_path / 'records.jsonl').unlink()
    record('b', 0)
    assert network() == (2, 'a')
    assert 'was made with network aaaaaaaaaaaa' in capsys.readouterr().err
    assert network('--overwrite') == (0, 'b')


def test_one_site_gives_a_threshold_and_no_table(tmp_path, records, capsys):
    append_record(tmp_path / 'records.jsonl', records[0])
    assert main(['presence', str(tmp_path), '--loss', '0']) == 0
    told = capsys.readouterr().out
    assert 'below 0.2' in told
    assert '|' not in told
