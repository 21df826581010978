"""Tables and plots of records that were written by hand."""

import pytest

from mcdrl_lab.benchmarks.benchmark_table import (
    comparison_plot,
    comparison_table,
    shares_table,
)
from mcdrl_lab.benchmarks.part_shares import PARTS
from mcdrl_lab.results.text_cells import MISSING


def record(name='own', **values) -> dict:
    return dict(
        name=name,
        mode='inference',
        batch_size=4,
        size=224,
        parameters=1_260_000,
        milliseconds=dict(median=40.0, low=38.0, high=44.0),
        images_per_second=100.0,
        ratio=None,
        **values,
    )


COUNTED = record(
    flops=2_540_000_000,
    peak_memory=3 * 2**20,
    shares=dict(zip(PARTS, [0.5, 0.125, 0.25, 0.06, 0.0, 0.065])),
)
TIMED = record('other') | dict(
    parameters=86_000_000, ratio=dict(median=1.0256, low=0.9, high=1.2)
)


def cells(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in text.splitlines()
    ]


def test_table_has_a_row_for_each_model_in_readable_units():
    header, _, *rows = cells(comparison_table([COUNTED, TIMED]))
    assert header == [
        'model',
        'parameters, M',
        'GFLOPs',
        'peak memory, MiB',
        'ms (quartiles)',
        'images/s',
        'time ratio (95%)',
    ]
    times = ['40.0 (38.0 to 44.0)', '100.00']
    assert rows == [
        ['own', '1.3', '2.5', '3', *times, MISSING],
        ['other', '86.0', MISSING, MISSING, *times, '1.026 (0.900 to 1.200)'],
    ]


def test_models_with_the_same_name_have_separate_rows():
    """As for configs that differ only in schedule or data."""
    slow = COUNTED | dict(images_per_second=1.0)
    rows = cells(comparison_table([COUNTED, slow]))[2:]
    assert [(row[0], row[5]) for row in rows] == [('own', '100.00'), ('own', '1.00')]
    assert len(cells(shares_table([COUNTED, slow]))) == 4


def test_shares_are_shown_in_per_cent_for_models_that_have_them():
    header, _, *rows = cells(shares_table([COUNTED, TIMED]))
    assert header == ['share of the step', *PARTS]
    assert rows == [['own', '50.0%', '12.5%', '25.0%', '6.0%', '0.0%', '6.5%']]


def test_the_table_of_shares_is_empty_without_shares():
    assert shares_table([TIMED]) == ''


def bars(figure) -> list[tuple[float, float, float]]:
    """Row, start and width of each bar."""
    (axes,) = figure.axes
    return [
        (patch.get_y() + patch.get_height() / 2, patch.get_x(), patch.get_width())
        for patch in axes.patches
    ]


def test_bars_are_the_medians_divided_among_the_parts():
    figure = comparison_plot([COUNTED, TIMED])
    found = bars(figure)
    expected = [
        *((0, 0, 20), (0, 20, 5), (0, 25, 10), (0, 35, 2.4), (0, 37.4, 2.6)),
        (1, 0, 40),
    ]
    assert len(found) == len(expected)
    for bar, wanted in zip(found, expected):
        assert bar == pytest.approx(wanted)


def test_plot_names_models_parts_and_setting():
    figure = comparison_plot([COUNTED, TIMED])
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ['own', 'other']
    # The first is on top.
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert axes.get_xlabel() == 'milliseconds, inference, batch 4, 224 px'
    (legend,) = figure.legends
    named = [text.get_text() for text in legend.get_texts()]
    # Losses take no time here, and parts are named once for all models.
    assert named == [*(part for part in PARTS if part != 'losses'), 'whole step']


def test_the_plot_of_training_mode_is_labelled_training_step():
    figure = comparison_plot([COUNTED | dict(mode='train')])
    assert 'training step' in figure.axes[0].get_xlabel()


def test_whiskers_are_the_quartiles():
    (axes,) = comparison_plot([COUNTED]).axes
    (container,) = [c for c in axes.containers if hasattr(c, 'has_xerr')]
    ((segment,),) = [lines.get_segments() for lines in container.lines[2]]
    assert segment[:, 0] == pytest.approx([38, 44])
    assert segment[:, 1] == pytest.approx([0, 0])
