import matplotlib.colors
import pandas as pd
import pytest
from PIL import Image

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.results.plots import (
    _FILL_COLORS,
    _HATCHES,
    box_plot,
    effect_plot,
    save_figure,
)


def boxes(figure):
    return [p for p in figure.axes[0].patches if hasattr(p, 'get_hatch')]


def test_one_box_for_each_site_and_method(two_methods):
    figure = box_plot(two_methods)
    assert len(boxes(figure)) == 4
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ['s1', 's2']
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ['a', 'b']


def test_boxes_stand_at_the_quartiles_of_the_images(two_methods):
    figure = box_plot([r for r in two_methods if r.method == 'b'])
    # Both seeds together: 20, 30, 40, 50, 60, 70; quartiles 32.5 and 57.5.
    heights = boxes(figure)[0].get_path().vertices[:, 1]
    assert heights.min() == pytest.approx(32.5)
    assert heights.max() == pytest.approx(57.5)


@pytest.mark.parametrize(
    ('metric', 'label'),
    [
        ('dice', 'dice per image (%)'),
        ('hd95', 'hd95 per image (pixels)'),
        ('false_lesions', 'false_lesions per image (lesions)'),
    ],
)
def test_the_axis_names_the_unit(make_record, make_image, metric, label):
    found = {size: [1, 1, 1] for size in ('small', 'medium', 'large')}
    counts = {**found, 'predicted': 4, 'false': 1, 'false_iou50': 1}
    images = [{**make_image('i', 0.5), 'lesions': counts}]
    figure = box_plot([make_record(images=images)], metric)
    assert figure.axes[0].get_ylabel() == label


def test_long_names_in_the_legend_are_not_cut_off(make_record, make_image):
    images = [make_image('i', 0.5)]
    names = [f'a_method_with_a_long_name_{number}' for number in range(4)]
    figure = box_plot([make_record(method=name, images=images) for name in names])
    figure.canvas.draw()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width
    assert [text.get_text() for text in legend.get_texts()] == names


def test_methods_differ_in_colour_and_in_hatch(two_methods):
    first, second = boxes(box_plot(two_methods))[::2]
    assert first.get_facecolor() != second.get_facecolor()
    assert first.get_hatch() != second.get_hatch()
    assert len(set(_FILL_COLORS)) == len(set(_HATCHES)) == 8


def test_colours_differ_in_lightness_for_readers_without_colour():
    def luminance(color):
        red, green, blue = matplotlib.colors.to_rgb(color)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    # The first two colours meet in every plot of a method beside a baseline.
    lightness = [luminance(color) for color in _FILL_COLORS]
    assert max(lightness) - min(lightness) > 0.4


def test_oracle_runs_are_marked_in_the_legend(make_record):
    figure = box_plot([make_record(dice=[0.5, 0.6], selection='oracle')])
    assert figure.legends[0].get_texts()[0].get_text() == 'a †'


def test_nothing_to_draw_is_an_error(make_record):
    with pytest.raises(ProtocolError, match='no finished run has nsd per image'):
        box_plot([make_record(dice=[0.5])], 'nsd')


def test_effects_are_drawn_from_top_to_bottom_also_without_an_interval():
    effects = pd.DataFrame(
        {
            'label': ['mean', 's1'],
            'difference': [1.0, 2.0],
            'low': [0.5, float('nan')],
            'high': [2.0, float('nan')],
        }
    )
    axes = effect_plot(effects, 'points').axes[0]
    x, y = axes.containers[0].lines[0].get_data()
    assert x.tolist() == [1.0, 2.0]
    assert y.tolist() == [1, 0]
    segments = axes.containers[0].lines[2][0].get_segments()
    assert segments[0][:, 0].tolist() == [0.5, 2.0]


def test_figures_are_written_as_png_and_pdf_without_leftovers(two_methods, tmp_path):
    paths = save_figure(box_plot(two_methods), tmp_path / 'new' / 'box')
    assert [p.name for p in paths] == ['box.png', 'box.pdf']
    with Image.open(paths[0]) as picture:
        assert picture.size[0] > 500
    assert paths[1].read_bytes().startswith(b'%PDF')
    assert sorted(p.name for p in paths[0].parent.iterdir()) == ['box.pdf', 'box.png']


def test_a_plot_drawn_again_has_the_same_bytes(two_methods, tmp_path):
    def drawn(name):
        paths = save_figure(box_plot(two_methods), tmp_path / name)
        return [path.read_bytes() for path in paths]

    assert drawn('one') == drawn('two')
