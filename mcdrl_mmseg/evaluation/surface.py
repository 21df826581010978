"""Distances between the outlines of two masks, computed by MONAI."""

import math
import warnings
from importlib.util import find_spec

import torch
from torch import Tensor

HAUSDORFF_PERCENTILE = 95


def tolerance_in_pixels(tolerance: float | str, height: int, width: int) -> float:
    """Translate a tolerance setting into pixels of one image.

    Args:
        tolerance: A number of pixels, or a string such as ``'0.5%'``: that share
            of the image diagonal, which is comparable between sites of different
            resolution.
        height: Image height in pixels.
        width: Image width in pixels.

    Returns:
        Tolerance in pixels.

    Raises:
        ValueError: If the setting is neither form, negative or not finite.
    """
    text = str(tolerance).strip()
    relative = isinstance(tolerance, str)
    try:
        number = float(text.removesuffix('%') if relative else tolerance)
    except (TypeError, ValueError):
        number = math.nan
    if relative and not text.endswith('%'):
        number = math.nan
    if not (math.isfinite(number) and number >= 0) or isinstance(tolerance, bool):
        raise ValueError(
            f'surface_tolerance={tolerance!r} must be a number of pixels, such as '
            "2.0, or a share of the image diagonal, such as '0.5%'"
        )
    return number / 100 * math.hypot(height, width) if relative else number


def require_monai() -> None:
    """Raise an error at the start, not after hours of training, if MONAI is missing.

    Raises:
        ImportError: If MONAI is not installed.
    """
    if find_spec('monai') is None:
        raise ImportError(
            'SiteLesionMetric(surface=True) computes distances with MONAI, which is '
            "not installed: run 'pip install monai scipy', or set surface=False"
        )


def surface_scores(
    prediction: Tensor, target: Tensor, tolerance: float
) -> tuple[float, float]:
    """HD95 and normalised surface Dice of one pair of masks.

    The outline of a mask is its pixels with a 4-neighbour outside of the mask;
    beyond the image border counts as outside. HD95 is the larger one of the two
    directed 95th percentiles of the distances from outline to outline. The
    normalised surface Dice is the share of both outlines that lies within
    ``tolerance`` of the other one (Nikolov et al., arXiv 1809.04430).

    Args:
        prediction: Boolean (H, W).
        target: Boolean (H, W) with at least one foreground pixel.
        tolerance: In pixels.

    Returns:
        HD95 in pixels and the surface Dice in [0, 1]. For an empty prediction
        the worst that the image allows: its diagonal sqrt(H^2 + W^2), and 0.

    Raises:
        ValueError: If the target is empty: distances are then undefined.
    """
    if not target.any():
        raise ValueError('a surface distance needs foreground in the ground truth')
    if not prediction.any():
        return math.hypot(*target.shape), 0.0
    # Imported late: MONAI takes seconds to import, and most users do not need it.
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice

    pair = prediction.cpu()[None, None], target.cpu()[None, None]
    with warnings.catch_warnings():
        # MONAI warns of its own deprecated arguments.
        warnings.simplefilter('ignore', FutureWarning)
        with torch.no_grad():
            distance = compute_hausdorff_distance(
                *pair, include_background=True, percentile=HAUSDORFF_PERCENTILE
            )
            dice = compute_surface_dice(
                *pair, class_thresholds=[tolerance], include_background=True
            )
    return float(distance), float(dice)
