from itertools import pairwise

from mcdrl_common.palette import line_style, mark_style


def test_thirty_line_styles_differ_and_neighbours_differ_in_colour_and_dashes():
    styles = [line_style(number) for number in range(30)]
    assert len({tuple(style.values()) for style in styles}) == 30
    for first, second in pairwise(styles):
        assert first['color'] != second['color']
        assert first['linestyle'] != second['linestyle']


def test_the_marks_of_eight_groups_of_points_differ_in_shape():
    assert len({mark_style(number)['marker'] for number in range(8)}) == 8
