import numpy as np
import pytest
from matplotlib.colors import to_rgba

from mcdrl_lab.results.embedding_figure import embed, embedding_figure
from mcdrl_lab.results.probe import ProbeScore


def clouds(count=20, distance=100.0):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2 * count, 5))
    features[count:] += distance
    return features


def test_two_clouds_stay_apart_on_the_map():
    points = embed(clouds(), perplexity=8)
    assert points.shape == (40, 2)
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = distances.argmin(axis=1)
    assert ((nearest < 20) == (np.arange(40) < 20)).all()


def test_map_is_the_same_for_the_same_seed():
    features = clouds(8)
    np.testing.assert_array_equal(embed(features, seed=3), embed(features, seed=3))


def test_few_images_or_a_single_channel_can_be_mapped_but_two_images_cannot():
    assert embed(clouds(2)).shape == (4, 2)
    assert embed(clouds(3)[:, :1]).shape == (6, 2)
    with pytest.raises(ValueError, match='3 images or more, got 2'):
        embed(clouds(1))


@pytest.fixture
def figure():
    maps = {'F': np.eye(4)[:, :2], 'F_ca': np.eye(4)[:, :2]}
    labels = {'site': ['b', 'a', 'a', 'a'], 'lesion': ['polyp'] * 4}
    probes = {
        ('F', 'site'): ProbeScore(0.8, 0.5, (0.7, 0.9)),
        ('F_ca', 'site'): ProbeScore(0.6, 0.5, (0.6, 0.6)),
    }
    return embedding_figure(maps, labels, probes)


def test_each_feature_and_label_has_a_panel_with_group_sizes_in_its_legend(figure):
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [
        'before, F, by site',
        'before, F, by lesion',
        'linear probe',
        'after, F_ca, by site',
        'after, F_ca, by lesion',
        '',
    ]
    legend = figure.axes[3].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ['a (3)', 'b (1)']


def test_points_have_the_colour_of_their_group(figure):
    first, second = figure.axes[0].collections
    assert len(first.get_offsets()) == 3
    np.testing.assert_array_equal(second.get_offsets(), [[1, 0]])
    colors = [tuple(c.get_facecolor()[0][:3]) for c in (first, second)]
    assert colors == [to_rgba('#0072B2')[:3], to_rgba('#D55E00')[:3]]
    assert second.get_zorder() > first.get_zorder(), 'the few must lie on the many'


def test_bars_are_the_probes_scores_in_per_cent(figure):
    axes = figure.axes[2]
    assert [bar.get_height() for bar in axes.patches] == [80.0, 60.0]
    assert 'not probed' in [text.get_text() for text in axes.texts]
