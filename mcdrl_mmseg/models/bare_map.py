"""The output of a backbone that gives its one map in no tuple."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class BareMap(NamedTuple):
    """Features as PIDNet and DDRNet give them in evaluation, beside CLIP's.

    In training they give a tuple of several maps, in evaluation one of them alone, and
    their decode heads take it so. The intervention then works on this map, whatever
    index it has in training.

    Attributes:
        level: (B, c, h, w), which the predictor gets in no tuple either.
        dense_features: CLIP's dense map, (B, d, h', w').
        image_embedding: CLIP's, (B, d, 1, 1).
    """

    level: Tensor
    dense_features: Tensor
    image_embedding: Tensor
