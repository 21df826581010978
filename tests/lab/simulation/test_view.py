import numpy as np
import pytest
from scipy.interpolate import BSpline

from mcdrl_lab.simulation.sampling import sample_scene
from mcdrl_lab.simulation.scene import do
from mcdrl_lab.simulation.view import View


@pytest.fixture
def scene():
    return do(sample_scene(4, 4), near=0.0, far=0.0)


def test_at_medium_distance_the_view_is_the_unit_square(scene):
    view = View(scene, 4)
    assert view.x.shape == (1, 4) and view.y.shape == (4, 1)
    assert view.x[0] == pytest.approx([0.125, 0.375, 0.625, 0.875])
    assert view.y[:, 0] == pytest.approx(view.x[0])
    assert view.pixel == 0.25


@pytest.mark.parametrize(('name', 'zoom'), [('near', 1.8), ('far', 1 / 1.8)])
def test_the_camera_moves_towards_and_away_from_its_focus(scene, name, zoom):
    view = View(do(scene, **{name: 1.0}), 64)
    step = view.x[0, 1] - view.x[0, 0]
    assert step == pytest.approx(1 / (64 * zoom), rel=1e-4)
    at_focus = np.interp(scene.focus_x, view.x[0], (np.arange(64) + 0.5) / 64)
    assert at_focus == pytest.approx(scene.focus_x, abs=1e-5)


def test_a_view_that_is_not_moved_ignores_the_distance_of_the_scene(scene):
    moved = View(do(scene, near=1.0), 8, moved=False)
    assert np.array_equal(moved.x, View(scene, 8).x) and moved.zoom == 1


def test_near_and_far_at_once_cancel(scene):
    assert View(do(scene, near=0.7, far=0.7), 8).zoom == 1


def test_a_pattern_is_a_cubic_spline_over_random_numbers(scene):
    """Against SciPy's basis splines in double precision."""
    view, frequency = View(do(scene, far=0.6), 23), 3.3
    pattern = view.pattern(np.random.default_rng(8), frequency)
    cells = int(np.ceil(3 * frequency)) + 4
    grid = np.random.default_rng(8).random((cells, cells), dtype=np.float32)
    grid = (grid.astype(float) - 0.5) / 0.1386

    def weights(places):
        basis = [BSpline.basis_element(np.arange(k - 3, k + 2)) for k in range(cells)]
        steps = (places.astype(float) + 1) * frequency
        return np.array(
            [
                np.where((steps >= k - 3) & (steps < k + 1), b(steps), 0)
                for k, b in enumerate(basis)
            ]
        ).T

    expected = weights(view.y[:, 0]) @ grid @ weights(view.x[0]).T
    assert pattern.dtype == np.float32
    np.testing.assert_allclose(pattern, expected, atol=2e-4)


def test_patterns_have_mean_0_and_variance_1(scene):
    view = View(scene, 200)
    values = [view.pattern(np.random.default_rng(k), 30) for k in range(20)]
    assert np.mean(values) == pytest.approx(0, abs=0.03)
    assert np.std(values) == pytest.approx(1, abs=0.05)


def test_a_pattern_stays_in_place_when_the_camera_moves(scene):
    far, near = (View(do(scene, **{n: 1.0}), 256) for n in ('far', 'near'))
    wide = far.pattern(far.generator(0), 5)
    close = near.pattern(near.generator(0), 5)
    row, column = (
        np.searchsorted(near.y[:, 0], far.y[100, 0]),
        np.searchsorted(near.x[0], far.x[0, 100]),
    )
    assert 0 < row < 255 and 0 < column < 255
    assert close[row, column] == pytest.approx(wide[100, 100], abs=0.05)


def test_patterns_can_be_stretched_vertically(scene):
    view = View(scene, 128)
    pattern = view.pattern(np.random.default_rng(0), 16, stretch=4)
    across, down = (np.abs(np.diff(pattern, axis=axis)).mean() for axis in (1, 0))
    assert across > 2.5 * down


def test_parts_of_a_drawing_have_random_numbers_of_their_own(scene):
    view = View(scene, 8)
    numbers = {view.generator(part).random() for part in range(8)}
    assert len(numbers) == 8
    assert view.generator(3).random() in numbers
