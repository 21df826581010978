import numpy as np
import pytest

from mcdrl_mmseg.visualization.confounder_profile import confounder_profile

NAMES = ['glare', 'blur', 'blood']


def bars(axes):
    return [p.get_width() for p in axes.patches if hasattr(p, 'get_width')]


def test_bars_are_means_over_the_images_of_a_site_in_per_cent():
    attention = {
        'b': np.array([[0.2, 0.3, 0.5], [0.4, 0.1, 0.5]]),
        'a': np.array([[1.0, 0.0, 0.0]]),
    }
    figure = confounder_profile(attention, NAMES)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ['a (1 image)', 'b (2 images)']
    assert bars(figure.axes[0])[:3] == [100, 0, 0]
    assert bars(figure.axes[1])[:3] == pytest.approx([30, 20, 50])
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == NAMES


def test_whiskers_span_the_middle_half_of_the_images():
    first = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    rows = np.stack([first, (1 - first) / 2, (1 - first) / 2], axis=1)
    axes = confounder_profile({'a': rows}, NAMES).axes[0]
    (whiskers,) = [c for c in axes.collections if hasattr(c, 'get_segments')]
    np.testing.assert_allclose(whiskers.get_segments()[0][:, 0], [20, 40])


@pytest.mark.parametrize(
    ('prior', 'expected'),
    [(None, [100 / 3] * 3), ([0.5, 0.3, 0.2], [50, 30, 20])],
)
def test_given_or_uniform_prior_is_drawn_beside_the_bars(prior, expected):
    axes = confounder_profile({'a': np.full((2, 3), 1 / 3)}, NAMES, prior).axes[0]
    (stairs,) = [p for p in axes.patches if p.get_label() == 'prior P(z)']
    np.testing.assert_allclose(stairs.get_data().values, expected)


def test_each_of_four_sites_has_a_panel_and_no_panel_is_empty():
    attention = {site: np.full((1, 3), 1 / 3) for site in 'abcd'}
    assert len(confounder_profile(attention, NAMES).axes) == 4


@pytest.mark.parametrize(('share', 'told'), [(0.34, True), (0.4, False)])
def test_title_says_that_no_condition_stands_out_if_attention_follows_the_prior(
    share, told
):
    rows = np.array([[share, (1 - share) / 2, (1 - share) / 2]])
    title = confounder_profile({'a': rows}, NAMES).get_suptitle()
    assert ('no condition stands out' in title) == told
