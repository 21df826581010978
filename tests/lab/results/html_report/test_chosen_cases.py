import pytest

from mcdrl_lab.results.html_report.chosen_cases import choose_cases


def names(cases):
    return {name: record['image'] for name, record in cases.items()}


def test_best_median_and_worst_are_found_in_any_order(make_image):
    scores = dict(a=0.5, b=0.9, c=0.1, d=0.4, e=0.7)
    images = [make_image(name, dice) for name, dice in scores.items()]
    cases = choose_cases(images)
    assert list(cases) == ['best', 'median', 'worst']
    assert names(cases) == dict(best='b', median='a', worst='c')
    assert choose_cases(images[::-1]) == cases


@pytest.mark.parametrize(
    ('scores', 'expected'),
    [
        ([], {}),
        ([0.5], dict(best='0')),
        ([0.5, 0.7], dict(best='1', worst='0')),
        ([0.1, 0.2, 0.3, 0.4], dict(best='3', median='1', worst='0')),
        ([0.5, 0.5, 0.5], dict(best='2', median='1', worst='0')),
    ],
)
def test_no_image_is_shown_twice(make_image, scores, expected):
    images = [make_image(str(n), dice) for n, dice in enumerate(scores)]
    assert names(choose_cases(images)) == expected


def test_images_without_a_lesion_are_left_out(make_image):
    images = [make_image('a', None), make_image('b', 0.3), make_image('c', None)]
    assert names(choose_cases(images)) == dict(best='b')
