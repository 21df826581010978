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

    Raises:
        ValueError: The norms are MMCV's, of ``sync_bn='mmcv'``, which have no
            counterpart with an activation.
    """
    for module in model.modules():
        if type(module).__name__ != 'SyncBatchNorm' or not hasattr(module, 'act'):
            continue
        if not isinstance(module, nn.SyncBatchNorm):
            raise ValueError(
                "sync_bn='mmcv' drops the activations that are part of timm's norms in "
                "this model. Set sync_bn='torch'."
            )
        # Few models have any.
        from timm.layers.norm_act import SyncBatchNormAct

        module.__class__ = SyncBatchNormAct
