import numpy as np
import pytest

from mcdrl_mmseg.visualization.validation_picture import (
    ValidatedImage,
    validation_picture,
)

NAMES = ['glare', 'blur']


@pytest.fixture
def image():
    return np.full((40, 60, 3), 120, np.uint8)


def square(size=(40, 60)):
    mask = np.zeros(size, np.int64)
    mask[10:20, 10:30] = 1
    return mask


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def test_each_known_result_has_a_panel(image):
    result = ValidatedImage(
        square(),
        square(),
        similarity=np.array([[0.1, 0.2], [0.3, 0.4]]),
        kept=np.array([[False, True], [True, False]]),
        attention=np.array([0.25, 0.75]),
    )
    figure = validation_picture(image, result, NAMES, 'site: image')
    assert titles(figure) == [
        'prediction and truth',
        'similarity to the lesion text, dashed: kept',
        'confounders in the kept regions',
    ]
    assert figure.get_suptitle() == 'site: image'
    bars = figure.axes[2].patches
    assert [bar.get_width() for bar in bars] == [25.0, 75.0]
    labels = [label.get_text() for label in figure.axes[2].get_yticklabels()]
    assert labels == NAMES


def test_unknown_results_have_no_panel(image):
    figure = validation_picture(image, ValidatedImage(square()), NAMES, 'x')
    assert titles(figure) == ['prediction and truth']


def test_masks_of_another_size_are_scaled_to_the_image(image):
    result = ValidatedImage(square(), square((80, 120)))
    axes = validation_picture(image, result, NAMES, 'x').axes[0]
    # The outline of the truth has half the coordinates of its larger mask.
    (outline,) = axes.collections
    corners = np.concatenate([p.vertices for p in outline.get_paths()])
    np.testing.assert_allclose(corners.min(axis=0), [4.5, 4.5], atol=0.6)
    np.testing.assert_allclose(corners.max(axis=0), [14.5, 9.5], atol=0.6)


def test_padded_positions_are_not_drawn(image):
    """The lower half is padding and contains the only kept position."""
    kept = np.array([[False, False], [True, False]])
    similarity = np.array([[0.1, 0.1], [0.9, 0.9]])
    result = ValidatedImage(
        square(), None, similarity, kept, window=(0.0, 0.5, 0.0, 1.0)
    )
    axes = validation_picture(image, result, NAMES, 'x').axes[1]
    assert not axes.collections
    shown = np.asarray(axes.images[0].get_array())
    assert (shown[:15] == shown[0, 0]).all()
