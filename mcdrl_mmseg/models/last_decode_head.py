"""The decode head that gives a segmentor's logits."""

from __future__ import annotations

from typing import Any

from torch import nn


def last_decode_head(model: nn.Module) -> Any:
    """The decode head of a segmentor; the last one of a cascade.

    Args:
        model: A segmentor.

    Returns:
        The head, or None for a model without one.
    """
    head = getattr(model, 'decode_head', None)
    return head[-1] if isinstance(head, nn.ModuleList) else head
