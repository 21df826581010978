import json

import numpy as np
import pytest

from mcdrl_common.site_reference import (
    MIN_IMAGES,
    SiteReference,
    SiteReferenceError,
    site_reference,
)


def made(sites=('a', 'b'), count=101, dims=3) -> SiteReference:
    """Condition 'dark' runs from 0 to 1 at a and from 1 to 2 at b; 'blur' is 0.5."""
    ramp = np.linspace(0, 1, count)
    dark = np.concatenate([ramp + place for place in range(len(sites))])
    scores = np.stack([dark, np.full(len(dark), 0.5)], axis=1)
    embeddings = np.random.default_rng(0).normal(size=(len(dark), dims))
    names = [name for name in sites for _ in range(count)]
    return site_reference(scores, embeddings, names, ['dark', 'blur'], 'ab')


def test_quantiles_mean_and_spread_of_a_site_equal_those_worked_out_by_hand():
    reference = made()
    assert reference.counts.tolist() == [101, 101]
    assert reference.quantiles[0, 0] == pytest.approx([0.025, 0.25, 0.5, 0.75, 0.975])
    assert reference.quantiles[1, 0] == pytest.approx([1.025, 1.25, 1.5, 1.75, 1.975])
    assert reference.means.tolist() == [
        [pytest.approx(0.5), 0.5],
        [pytest.approx(1.5), 0.5],
    ]
    # Of 0, 0.01, ..., 1: the variance with n - 1 is n (n + 1) / 12 steps squared.
    assert reference.stds[0] == pytest.approx([(101 * 102 / 12) ** 0.5 / 100, 0])


def test_a_score_is_beyond_only_outside_the_range_of_every_site():
    scores = np.array([[0.02, 0.5], [0.03, 0.5], [1.0, 0.6], [1.98, 0.4]])
    assert made().beyond(scores).tolist() == [[-1, 0], [0, 0], [0, 1], [1, -1]]


def test_rounding_does_not_put_a_score_beyond_a_range_of_equal_scores():
    assert made().beyond(np.array([[1.0, 0.5 + 1e-8]])).tolist() == [[0, 0]]


def test_the_range_of_a_single_site_is_its_own():
    reference = made(sites=('a',))
    assert reference.sites == ('a',)
    assert reference.low[0] == pytest.approx(0.025)
    assert reference.high[0] == pytest.approx(0.975)


def test_the_distance_equals_that_worked_out_by_hand():
    # Spread 2 along x and sqrt(2) / 10 in y and z together: d = 3.
    reference = SiteReference(
        conditions=('dark',),
        sites=('a',),
        counts=np.array([10]),
        quantiles=np.zeros((1, 1, 5)),
        means=np.zeros((1, 1)),
        stds=np.ones((1, 1)),
        center=np.array([1.0, 0, 0]),
        axes=np.array([[1.0, 0, 0]]),
        spreads=np.array([2.0]),
        rest=0.1,
        distances=(1, 2, 3),
        fingerprint='',
    )
    found = reference.distance(np.array([[1.0, 0, 0], [3, 0, 0], [1, 0.3, 0.4]]))
    assert found == pytest.approx([0, (1 / 3) ** 0.5, (25 / 3) ** 0.5])


def test_training_images_have_a_root_mean_square_distance_of_one():
    rng = np.random.default_rng(1)
    embeddings = rng.normal(size=(4000, 20)) * ([3, 2, 1, 1] + [0.1] * 16)
    names = ['a'] * 4000
    reference = site_reference(np.zeros((4000, 1)), embeddings, names, ['dark'])
    squares = reference.distance(embeddings) ** 2
    assert squares.mean() == pytest.approx(1, abs=0.01)
    assert (reference.distance(embeddings) > reference.farthest_usual).mean() == (
        pytest.approx(0.025, abs=0.001)
    )


def test_a_site_with_few_images_is_left_out_and_no_remaining_site_is_an_error():
    rng = np.random.default_rng(2)
    count = 2 * MIN_IMAGES - 1
    scores, embeddings = rng.normal(size=(count, 1)), rng.normal(size=(count, 3))
    names = ['a'] * MIN_IMAGES + ['b'] * (MIN_IMAGES - 1)
    assert site_reference(scores, embeddings, names, ['dark']).sites == ('a',)
    with pytest.raises(SiteReferenceError, match='no training site has 10 images'):
        site_reference(scores[1:], embeddings[1:], names[1:], ['dark'])


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_scores_or_embeddings_that_are_not_finite_are_refused(value):
    scores, embeddings = np.zeros((20, 1)), np.eye(20)
    embeddings[3, 1] = value
    with pytest.raises(SiteReferenceError, match='NaN or infinite'):
        site_reference(scores, embeddings, ['a'] * 20, ['dark'])


def test_training_images_that_are_all_equal_are_refused():
    with pytest.raises(SiteReferenceError, match='all training images are equal'):
        site_reference(np.ones((20, 1)), np.ones((20, 4)), ['a'] * 20, ['dark'])


def test_the_text_form_restores_the_statistics_to_four_digits():
    reference = made()
    again = SiteReference.from_text(reference.to_text(), 'x.pth')
    assert (again.conditions, again.sites) == (reference.conditions, reference.sites)
    for name in ('quantiles', 'means', 'stds', 'center', 'axes', 'spreads'):
        expected = getattr(reference, name)
        assert getattr(again, name) == pytest.approx(expected, rel=1e-4, abs=1e-9)
    assert again.distances == pytest.approx(reference.distances, rel=1e-4)


def test_the_text_of_four_sites_and_twelve_conditions_is_shorter_than_12_kilobytes():
    rng = np.random.default_rng(3)
    reference = site_reference(
        rng.normal(size=(80, 12)),
        rng.normal(size=(80, 128)),
        ['a', 'b', 'c', 'd'] * 20,
        [f'condition {number}' for number in range(12)],
    )
    assert len(reference.to_text()) < 12_000


def changed(key, value) -> str:
    return json.dumps({**json.loads(made().to_text()), key: value})


@pytest.mark.parametrize(
    'text',
    [
        None,
        b'{}',
        '',
        '[]',
        '{"schema": 1}',
        '[' * 100_000,
        ' ' * 5_000_000,
        changed('schema', 2),
        changed('conditions', ['dark', 'dark']),
        changed('conditions', ['dark\x1b[31m', 'blur']),
        changed('conditions', ['x' * 1000, 'blur']),
        changed('sites', []),
        changed('rest', 0),
        changed('rest', [1]),
        changed('rest', 'far'),
        changed('center', [float('nan')] * 3),
        changed('center', [1e300] * 3),
        changed('center', 5),
        changed('counts', [10**400, 10]),
        changed('means', [[0, 0]]),
        changed('stds', [[-1, 0], [0, 0]]),
        changed('counts', [1, 1]),
        changed('quantiles', [[[5, 4, 3, 2, 1]] * 2] * 2),
        changed('fingerprint', 7),
        changed('distances', [1, float('inf'), 2]),
    ],
)
def test_invalid_text_is_refused_with_the_command_that_makes_a_valid_one(text):
    with pytest.raises(SiteReferenceError, match=r'site-reference CONFIG x\.pth'):
        SiteReference.from_text(text, 'x.pth')
