import numpy as np
import pytest

from mcdrl_lab.trust.within_sites import Estimate, draws, estimates, interval


@pytest.mark.usefixtures('few_draws')
def test_each_site_keeps_its_number_of_sequences():
    sites = ['a'] * 4 + ['b'] * 2
    # Two sequences of two frames at a, two single images at b.
    sequences = ['s', 's', 't', 't', None, None]
    for counts in draws(sites, sequences):
        assert counts[0] == counts[1] and counts[2] == counts[3]
        assert counts[0] + counts[2] == 2
        assert counts[4] + counts[5] == 2


@pytest.mark.usefixtures('few_draws')
def test_sequences_with_the_same_name_at_two_sites_count_as_two():
    drawn = list(draws(['a', 'b'], ['s', 's']))
    assert all(counts.tolist() == [1, 1] for counts in drawn)


def test_interval_of_a_mean_matches_its_standard_error():
    values = np.random.default_rng(0).normal(size=400)

    def mean(counts):
        return dict(mean=float((counts * values).sum() / counts.sum()))

    found = estimates(mean, ['a'] * 400, [None] * 400)['mean']
    assert found.value == pytest.approx(values.mean())
    # Two standard errors of 1/20 on either side.
    assert found.low == pytest.approx(values.mean() - 0.098, abs=0.015)
    assert found.high == pytest.approx(values.mean() + 0.098, abs=0.015)


def test_frames_of_one_video_are_not_independent_evidence():
    values = np.repeat(np.random.default_rng(1).normal(size=10), 40)

    def mean(counts):
        return dict(mean=float((counts * values).sum() / counts.sum()))

    alone = estimates(mean, ['a'] * 400, [None] * 400)['mean']
    videos = [f'v{n // 40}' for n in range(400)]
    joined = estimates(mean, ['a'] * 400, videos)['mean']
    assert joined.high - joined.low > 4 * (alone.high - alone.low)


def test_undefined_numbers_have_no_interval():
    found = estimates(lambda _: dict(x=float('nan')), ['a'], [None])['x']
    assert np.isnan([found.value, found.low, found.high]).all()
    assert interval(found, '.2f') == interval(None, '.2f') == '-'
    assert interval(Estimate(0.5, 0.25, 0.75), '.2f') == '0.50 (0.25 to 0.75)'
