import pytest
import torch
from torch.testing import assert_close

from mcdrl_mmseg.models.data_preprocessors.blending_maps import (
    draw_blending_maps,
    spline_basis,
)


def test_spline_basis_equals_values_worked_out_by_hand():
    # Spacing 1 puts every pixel in the middle of a span, where the uniform cubic
    # B-splines are 1, 23, 23 and 1 forty-eighths.
    basis = spline_basis(4, 1)
    assert basis.shape == (4, 7)
    middle = torch.tensor([1.0, 23, 23, 1]) / 48
    for pixel in range(4):
        assert_close(basis[pixel, pixel : pixel + 4], middle)
    # Spacing 3: pixel 1 of a span lies at 1.5 of 3, pixel 0 at 0.5 of 3.
    u = torch.tensor(1 / 6)
    expected = torch.stack(
        [
            (1 - u) ** 3,
            3 * u**3 - 6 * u**2 + 4,
            -3 * u**3 + 3 * u**2 + 3 * u + 1,
            u**3,
        ]
    )
    assert_close(spline_basis(6, 3)[3, 1:5], expected / 6)


@pytest.mark.parametrize(('size', 'spacing'), [(1, 32), (31, 32), (32, 32), (224, 32)])
def test_spline_basis_is_a_weighted_mean_of_control_points(size, spacing):
    basis = spline_basis(size, spacing)
    assert basis.shape == (size, -(-size // spacing) + 3)
    assert (basis >= 0).all()
    assert_close(basis.sum(dim=1), torch.ones(size))


def test_maps_are_smooth_and_range_from_zero_to_one():
    torch.manual_seed(0)
    maps = draw_blending_maps(5, (96, 160), 32, torch.empty(0))
    assert maps.shape == (5, 1, 96, 160)
    assert_close(maps.amin((1, 2, 3)), torch.zeros(5))
    assert_close(maps.amax((1, 2, 3)), torch.ones(5))
    # No step between neighbours is above the steepest slope of one spline.
    assert maps.diff(dim=2).abs().max() < 0.1
    assert maps.diff(dim=3).abs().max() < 0.1


def test_every_image_gets_a_map_of_its_own():
    torch.manual_seed(0)
    maps = draw_blending_maps(2, (64, 64), 16, torch.empty(0))
    assert (maps[0] - maps[1]).abs().mean() > 0.1
