"""The camera's view of a scene, and random patterns that stay in place in the scene."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from .scene import Scene

# At strength 1 the camera is nearer or farther than medium distance by this factor.
_ZOOM = 1.8
# Patterns reach from -1 to 2 image widths; the farthest view stays inside.
_MARGIN = 1.0
_EXTENT = 3.0
# Brings cubic B-splines over uniform random numbers to unit variance.
_PATTERN_SCALE = 1 / 0.1386


class View:
    """Where each pixel lies in the scene.

    Args:
        scene: The scene.
        size: Height and width of the image in pixels.
        moved: Whether to look from the scene's own distance; else from medium distance.
    """

    def __init__(self, scene: Scene, size: int, moved: bool = True) -> None:
        self.size = size
        steps = scene.confounders.near - scene.confounders.far
        self.zoom = _ZOOM**steps if moved else 1.0
        self.pixel = 1 / (size * self.zoom)
        pixels = (np.arange(size) + 0.5) / size
        self._places = {
            'x': scene.focus_x + (pixels - scene.focus_x) / self.zoom,
            'y': scene.focus_y + (pixels - scene.focus_y) / self.zoom,
        }
        self._pattern = scene.pattern
        self._splines: dict[tuple[str, float], _Spline] = {}

    @cached_property
    def x(self) -> np.ndarray:
        """(1, size) distance from the left edge, in widths at medium distance."""
        return self._places['x'][None].astype(np.float32)

    @cached_property
    def y(self) -> np.ndarray:
        """(size, 1) distance from the top edge."""
        return self._places['y'][:, None].astype(np.float32)

    def generator(self, part: int) -> np.random.Generator:
        """Random numbers for a part of the drawing, the same in every view.

        Args:
            part: Number of the part; parts are independent.
        """
        return np.random.default_rng((self._pattern, part))

    def pattern(
        self, generator: np.random.Generator, frequency: float, stretch: float = 1.0
    ) -> np.ndarray:
        """A smooth random pattern: a grid of random numbers, joined by splines.

        Args:
            generator: Source of the random numbers.
            frequency: Grid points per image width at medium distance.
            stretch: Ratio of the height of its spots to their width.

        Returns:
            (size, size) float32 of mean 0 and variance 1.
        """
        cells = (_cells(frequency / stretch), _cells(frequency))
        grid = generator.random(cells, dtype=np.float32)
        grid -= np.float32(0.5)
        grid *= np.float32(_PATTERN_SCALE)
        rows = self._join(grid, 'y', frequency / stretch)
        return self._join(np.ascontiguousarray(rows.T), 'x', frequency).T

    def _join(self, grid: np.ndarray, axis: str, frequency: float) -> np.ndarray:
        """Interpolate between the rows of a grid, at the pixels along an axis."""
        key = (axis, frequency)
        if key not in self._splines:
            self._splines[key] = _spline(self._places[axis], frequency)
        first, weights = self._splines[key]
        joined = grid[first]
        joined *= weights[0]
        for step in (1, 2, 3):
            part = grid[first + step]
            part *= weights[step]
            joined += part
        return joined


_Spline = tuple[np.ndarray, np.ndarray]


def _spline(places: np.ndarray, frequency: float) -> _Spline:
    """First of the four grid points around each place, and (4, n, 1) weights."""
    steps = (places + _MARGIN) * frequency
    first = np.floor(steps)
    t = (steps - first).astype(np.float32)
    square = t * t
    cube = square * t
    weights = np.empty((4, len(t), 1), np.float32)
    weights[0, :, 0] = (1 - 3 * t + 3 * square - cube) / 6
    weights[1, :, 0] = (4 - 6 * square + 3 * cube) / 6
    weights[2, :, 0] = (1 + 3 * t + 3 * square - 3 * cube) / 6
    weights[3, :, 0] = cube / 6
    return first.astype(np.intp), weights


def _cells(frequency: float) -> int:
    return int(np.ceil(_EXTENT * frequency)) + 4
