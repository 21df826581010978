"""Norms of timm that hold an activation, made synchronised ones by MMEngine."""

from __future__ import annotations

from torch import nn


def keep_activations(model: nn.Module) -> None:
    """Let norms that ``sync_bn='torch'`` put into a model go on activating.

    MMEngine, as torch, makes a plain ``SyncBatchNorm`` of timm's ``BatchNormAct2d``,
    which an EfficientNet consists of: the activation lies within it, and nothing calls
    it any more. timm's own synchronised norm does.

    Args:
        model: Changed in place; those without such norms stay as they are.
    """
    for module in model.modules():
        if type(module) is nn.SyncBatchNorm and hasattr(module, 'act'):
            # Few models have any.
            from timm.layers.norm_act import SyncBatchNormAct

            module.__class__ = SyncBatchNormAct
