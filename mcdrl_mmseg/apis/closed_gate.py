"""Checkpoints in which the intervention has not started."""

from __future__ import annotations

from torch import nn

from mcdrl_mmseg.models import CausalInterventionHead
from mcdrl_mmseg.models.last_decode_head import last_decode_head


def closed_gate_note(model: nn.Module) -> str | None:
    """Note for the user of a checkpoint whose gate is 0.

    Args:
        model: Any segmentor with its weights loaded.

    Returns:
        One line, or None if the gate is open or there is no intervention.
    """
    head = last_decode_head(model)
    intervention = getattr(head, 'intervention', None)
    if not isinstance(head, CausalInterventionHead) or intervention is None:
        return None
    if float(intervention.gate) != 0:
        return None
    return (
        'note: the gate of this checkpoint is 0. Its intervention had not begun, so it '
        'predicts like the network without MCDRL. Use a checkpoint of a later epoch, '
        'or train with an earlier `begin` of InterventionWarmupHook.'
    )
