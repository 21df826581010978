import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from mcdrl_mmseg.apis import Explanation
from mcdrl_mmseg.visualization.explanation_figure import explanation_figure

CONFOUNDERS = (
    'blur',
    'dark lighting',
    'narrow-band imaging',
    'a name of many words that goes on',
)


@pytest.fixture(scope='module')
def new_explanation():
    """Makes an explanation of a square lesion that grows with the gate."""

    def make(size=(60, 80), num_classes=2, **changes) -> Explanation:
        rng = np.random.default_rng(0)
        ends = {}
        for key, half in (('gate_0', 10), ('gate_1', 20)):
            ends[key] = np.full(size, 0.1, np.float32)
            ends[key][:half, :half] = 0.9
        kept = np.zeros((3, 4), bool)
        kept[:, :2] = True
        maps = np.full((4, 3, 4), np.nan, np.float32)
        maps[:, kept] = np.array([[0.4], [0.3], [0.2], [0.1]])
        values = dict(
            image=rng.integers(0, 256, (*size, 3), np.uint8),
            class_names=tuple(f'lesion {n}' for n in range(num_classes)),
            confounder_names=CONFOUNDERS,
            similarity=rng.random((num_classes, 3, 4)),
            kept=kept,
            attention=np.array([0.4, 0.3, 0.2, 0.1], np.float32),
            attention_maps=maps,
            lesion_probability=ends,
            per_confounder=np.stack([ends['gate_1'], *[ends['gate_0']] * 3]),
            gate=1.0,
        )
        return Explanation(**{**values, **changes})

    return make


@pytest.fixture(scope='module')
def whole(new_explanation) -> Figure:
    return explanation_figure(new_explanation(), title='case 7')


def texts(figure: Figure) -> list[Text]:
    return [
        text
        for text in figure.findobj(Text)
        if text.get_text().strip() and text.get_visible()
    ]


def words(figure: Figure) -> list[str]:
    """All text on the page except the numbers of the scales."""
    return [text.get_text() for text in texts(figure)]


def test_page_shows_areas_scales_and_names(whole):
    page = '\n'.join(words(whole))
    # 100 and 400 of 4800 pixels.
    assert 'case 7\nPredicted lesion: 2.1 % of the image without' in page
    assert '8.3 % with it' in page
    for part in (
        '80 x 60 pixels',
        'Similarity to "lesion 1"',
        'cosine similarity',
        'Kept: 50 % of 3 x 4 positions',
        'lesion probability',
        'dark lighting',
        'share of attention',
        'predicted lesion, % of the image',
        '0.400',
    ):
        assert part in page, part
    assert 'truth' not in page
    assert 'Dice' not in page


def test_page_shows_the_truth_and_the_dice_at_both_gates(new_explanation):
    truth = np.zeros((60, 80), bool)
    truth[:20, :20] = True
    page = '\n'.join(words(explanation_figure(new_explanation(), truth)))
    # 2 * 100 / (100 + 400), and the same pixels.
    assert 'gate 0), Dice 40.0 %' in page
    assert 'gate 1), Dice 100.0 %' in page
    assert 'truth' in page


def test_dice_on_the_page_leaves_out_ignored_pixels(new_explanation):
    truth, ignored = np.zeros((2, 60, 80), bool)
    truth[:20, :20] = True
    half_of_the_rest = np.zeros((60, 80), bool)
    half_of_the_rest[20:, :20] = True
    explanation = new_explanation()
    before = explanation.lesion_probability['gate_1']
    explanation.lesion_probability['gate_1'] = np.where(half_of_the_rest, 0.9, before)
    ignored[20:] = True
    figure = explanation_figure(explanation, truth, ignored=ignored)
    # 800 of the 1200 predicted pixels are ignored; the others are the lesion.
    assert 'gate 1), Dice 100.0 %' in '\n'.join(words(figure))
    figure = explanation_figure(explanation, truth)
    assert 'gate 1), Dice 50.0 %' in '\n'.join(words(figure))


def test_conditions_known_to_be_present_are_marked(new_explanation):
    figure = explanation_figure(new_explanation(), true_confounders=['blur'])
    page = words(figure)
    assert sum('blur\n(present)' in text for text in page) == 4
    assert not any('dark lighting\n(present)' in text for text in page)


@pytest.mark.parametrize(('spread', 'told'), [(0.04, True), (0.06, False)])
def test_uniform_attention_is_labelled_and_scales_reach_twice_an_equal_share(
    new_explanation, spread, told
):
    explanation = new_explanation()
    kept = np.isfinite(explanation.attention_maps)
    weights = 0.25 * np.array([1 + spread, 1 - spread, 1, 1])
    maps = np.where(kept, weights[:, None, None], np.nan)
    figure = explanation_figure(new_explanation(attention=weights, attention_maps=maps))
    assert ('uniform, no condition stands out' in '\n'.join(words(figure))) == told
    (axes,) = (
        axes
        for axes in figure.findobj(Axes)
        if axes.get_xlabel().startswith('share of attention, mean')
    )
    # The scale reaches twice an equal share: equal bars end in its middle.
    assert axes.get_xlim()[1] >= 0.5
    scales = {
        image.get_clim()[1]
        for panel in figure.findobj(Axes)
        if panel.get_title() == 'blur'
        for image in panel.get_images()
    }
    assert 0.5 in scales


def test_page_explains_why_a_single_condition_may_differ_from_all(whole):
    page = ' '.join('\n'.join(words(whole)).split())
    assert 'no single one need agree with it' in page


def test_page_of_the_exact_form_shows_prior_weights_and_no_attention(new_explanation):
    explanation = new_explanation(approximation='expectation')
    page = '\n'.join(words(explanation_figure(explanation)))
    assert 'Weights P(z)' in page
    assert 'attention' not in page


def test_lines_of_both_gates_lie_within_the_scale_of_the_bars(new_explanation):
    ends = new_explanation().lesion_probability
    for first, last in (('gate_0', 'gate_1'), ('gate_1', 'gate_0')):
        explanation = new_explanation(
            lesion_probability=dict(gate_0=ends[first], gate_1=ends[last]),
            per_confounder=np.stack([ends['gate_0']] * 4),
        )
        (axes,) = (
            axes
            for axes in explanation_figure(explanation).findobj(Axes)
            if axes.get_xlabel().startswith('predicted lesion')
        )
        # 400 of 4800 pixels.
        assert axes.get_xlim()[1] > 8.4


@pytest.mark.parametrize(('size', 'num_classes'), [((60, 80), 1), ((120, 50), 7)])
def test_titles_and_labels_do_not_overlap(new_explanation, size, num_classes):
    figure = explanation_figure(new_explanation(size, num_classes), title='case')
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    shown = [text.get_window_extent(renderer) for text in texts(figure)]
    boxes = [box.shrunk(0.98, 0.9) for box in shown if box.width > 1]
    for number, box in enumerate(boxes):
        for other in boxes[number + 1 :]:
            assert not box.overlaps(other), (box, other)


def test_panels_are_divided_evenly_among_the_rows(new_explanation):
    # Image, five classes and the kept regions: at most five in a row.
    selection = explanation_figure(new_explanation(num_classes=5)).subfigs[0]
    panels = [axes for axes in selection.axes if axes.images]
    rows = [axes.get_subplotspec().rowspan.start for axes in panels]
    assert rows == [0, 0, 0, 0, 1, 1, 1]


def test_a_truth_of_another_size_is_refused(new_explanation):
    with pytest.raises(
        ValueError, match='the ground truth is 60 x 80 pixels, the image 80 x 60'
    ):
        explanation_figure(new_explanation(), np.zeros((80, 60), bool))


def test_padded_positions_are_not_drawn(new_explanation):
    """The left half of the grid is kept, which is all of the image."""
    explanation = new_explanation(num_classes=1, window=(0.0, 1.0, 0.0, 0.5))
    figure = explanation_figure(explanation)
    (panel,) = [a for a in figure.axes if a.get_title().startswith('Kept: 50 %')]
    shown = panel.images[0].get_array()
    np.testing.assert_array_equal(shown, explanation.image)
    (similarity,) = [a for a in figure.axes if a.get_title().startswith('Similarity')]
    drawn = np.unique(similarity.images[1].get_array())
    np.testing.assert_allclose(drawn, np.unique(explanation.similarity[0, :, :2]))
    named = [a for a in figure.axes if a.get_title() == CONFOUNDERS[0]]
    maps = [a.images[1].get_array() for a in named if a.images]
    assert maps
    assert not any(map(np.ma.is_masked, maps))
