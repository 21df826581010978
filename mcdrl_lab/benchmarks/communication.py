"""How much data-parallel processes send each other in a step."""

# No postponed annotations: DDP checks the annotations of a communication hook.
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel

from mcdrl_mmseg.clip.meta_build import meta_build
from mcdrl_mmseg.engine.insertion import with_mcdrl


def trained_bytes(model: nn.Module) -> int:
    """Bytes of the gradients, which are all that a step of DDP reduces.

    Args:
        model: The model. Frozen weights and buffers, as the dictionary, are not sent.
    """
    return sum(
        parameter.numel() * parameter.element_size()
        for parameter in model.parameters()
        if parameter.requires_grad
    )


class ReducedBytes:
    """Counts the bytes that a DDP model reduces, from the creation of this object on.

    Attributes:
        total: Bytes of gradients handed to the all-reduce by this process.

    Args:
        model: The DDP model; its training steps do not change.
    """

    def __init__(self, model: DistributedDataParallel) -> None:
        self.total = 0
        model.register_comm_hook(None, self._reduce)

    def _reduce(
        self, state: None, bucket: torch.distributed.GradBucket
    ) -> torch.futures.Future[Tensor]:
        buffer = bucket.buffer()
        self.total += buffer.numel() * buffer.element_size()
        return allreduce_hook(None, bucket)


def ring_all_reduce_seconds(num_bytes: int, processes: int, bandwidth: float) -> float:
    """Time of a ring all-reduce that only bandwidth limits.

    Every process sends, and receives, 2 (n - 1) / n of the data (Patarasuk & Yuan,
    J. Parallel Distrib. Comput. 2009).

    Args:
        num_bytes: Size of the data.
        processes: n.
        bandwidth: Bandwidth of the slowest link, in bytes per second and direction.
    """
    return 2 * (processes - 1) / processes * num_bytes / bandwidth


def communication_table(
    configs: Sequence[str], processes: Sequence[int], bandwidths: Sequence[float]
) -> list[dict[str, Any]]:
    """Calculate the communication time of DDP steps; nothing is measured.

    Args:
        configs: Config files; models are built without memory for their weights.
        processes: Numbers of processes.
        bandwidths: In GB (10^9 bytes) per second and direction.

    Returns:
        For each config a dict of ``config``, ``trained`` (weights), ``megabytes`` (of
        gradients) and, for each pair, ``N x G GB/s``: milliseconds.
    """
    rows = []
    for config in configs:
        cfg = Config.fromfile(config)
        init_default_scope(cfg.get('default_scope', 'mmseg'))
        with meta_build():
            num_bytes = trained_bytes(MODELS.build(with_mcdrl(cfg).model))
        row = dict(
            config=Path(config).stem, trained=num_bytes // 4, megabytes=num_bytes / 1e6
        )
        for count in processes:
            for bandwidth in bandwidths:
                seconds = ring_all_reduce_seconds(num_bytes, count, 1e9 * bandwidth)
                row[f'{count} x {bandwidth:g} GB/s'] = 1000 * seconds
        rows.append(row)
    return rows
