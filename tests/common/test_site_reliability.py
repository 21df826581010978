import numpy as np
import pytest

from mcdrl_common.calibration_scores import LEVELS
from mcdrl_common.metric_names import CALIBRATION_METRICS
from mcdrl_common.site_reliability import scoped_calibration, site_calibration


def histograms(away=(), near=()):
    """Histograms of (probability, whether lesion, pixels), away from and near edges."""
    counts = np.zeros((2, 2, LEVELS), int)
    for part, pixels in enumerate((away, near)):
        for probability, lesion, count in pixels:
            counts[part, int(lesion), round(probability * 1000)] += count
    return counts


def test_the_border_is_scored_separately_and_counts_in_the_whole():
    metrics = scoped_calibration(
        {'c1': histograms(away=[(0.1, 0, 8)], near=[(0.6, 1, 2)])}
    )
    assert metrics['ECE'] == pytest.approx((8 * 0.1 + 2 * 0.4) / 10)
    assert metrics['ECE_border'] == pytest.approx(0.4)
    assert metrics['Brier_border'] == pytest.approx(0.16)
    assert metrics['site/c1/ECE'] == metrics['site_mean/ECE'] == metrics['ECE']


def test_sites_weigh_equally_in_their_mean_and_by_pixels_in_the_whole():
    metrics = scoped_calibration(
        {'c1': histograms([(0.1, 0, 30)]), 'c2': histograms([(0.4, 0, 10)])}
    )
    assert metrics['site_mean/Brier'] == pytest.approx((0.01 + 0.16) / 2)
    assert metrics['Brier'] == pytest.approx((30 * 0.01 + 10 * 0.16) / 40)


def test_sites_without_outline_or_probability_have_no_score():
    metrics = scoped_calibration({'c1': histograms([(0.1, 0, 1)]), 'c2': None})
    assert metrics['site/c1/ECE_border'] is None
    assert metrics['site/c2/ECE'] is None
    assert metrics['ECE'] is None, 'not of some of the images'
    assert metrics['site_mean/ECE'] == pytest.approx(0.1)
    assert metrics['site_mean/ECE_border'] is None


def test_without_sites_every_calibration_metric_is_undefined():
    metrics = scoped_calibration({})
    assert {metrics[name] for name in CALIBRATION_METRICS} == {None}


def test_a_site_has_a_diagram_of_all_pixels_and_one_of_the_border():
    calibration = site_calibration(
        histograms(away=[(0.1, 0, 8)], near=[(0.1, 1, 2), (1.0, 1, 1)])
    )
    assert calibration['all']['pixels'][1] == 10
    assert calibration['all']['lesion'][1] == pytest.approx(0.2)
    assert calibration['border']['lesion'][1] == 1.0
    assert calibration['border']['probability'][-1] == 1.0
