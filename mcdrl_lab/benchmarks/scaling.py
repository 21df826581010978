"""Time and memory of a training step on one and on several processes."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from .communication import ReducedBytes, trained_bytes
from .latency import fill_with_noise

_WARM_UP = 3


def measure_scaling(
    config: str,
    processes: Sequence[int] = (1, 2),
    batch_size: int = 4,
    size: int = 128,
    steps: int = 20,
    repeats: int = 2,
) -> list[dict[str, Any]]:
    """Train on noise with different numbers of processes, by turns.

    Args:
        config: Config file.
        processes: Numbers of processes on this machine; each has one thread, or one
            GPU if there is any.
        batch_size: Images a process.
        size: Height and width in pixels.
        steps: Timed steps of a start.
        repeats: Starts with each number of processes.

    Returns:
        For each number a dict of ``processes``, ``milliseconds`` (median of a step),
        ``quartiles``, ``images_per_second``, ``peak_megabytes`` (of the largest
        process), ``reduced_bytes`` (counted, a step and process) and
        ``trained_bytes``.

    Raises:
        FileNotFoundError: No such config.
        RuntimeError: A process failed; its output is the message.
    """
    if not Path(config).is_file():
        raise FileNotFoundError(f'config {config!r} is not a file.')
    found: dict[int, list[dict]] = {count: [] for count in processes}
    for _ in range(repeats):
        for count in processes:
            found[count] += _start(config, count, batch_size, size, steps)
    return [_summary(count, ranks, batch_size) for count, ranks in found.items()]


def _summary(count: int, ranks: list[dict], batch_size: int) -> dict[str, Any]:
    times = [time for rank in ranks for time in rank['milliseconds']]
    low, median, high = np.quantile(times, [0.25, 0.5, 0.75])
    return dict(
        processes=count,
        milliseconds=float(median),
        quartiles=[float(low), float(high)],
        images_per_second=1000 * count * batch_size / float(median),
        peak_megabytes=max(rank['peak_megabytes'] for rank in ranks),
        reduced_bytes=ranks[0]['reduced_bytes'],
        trained_bytes=ranks[0]['trained_bytes'],
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def _start(config: str, count: int, batch_size: int, size: int, steps: int) -> list:
    package = Path(__file__).resolve().parents[2]
    shared = dict(
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(_free_port()),
        WORLD_SIZE=str(count),
        OMP_NUM_THREADS='1',
        PYTHONPATH=os.pathsep.join([str(package), os.environ.get('PYTHONPATH', '')]),
    )
    command = [sys.executable, '-m', __name__, config, *map(str, (batch_size, size))]
    started = [
        subprocess.Popen(
            [*command, str(steps)],
            env={**os.environ, **shared, 'RANK': str(n), 'LOCAL_RANK': str(n)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(count)
    ]
    outputs = [process.communicate() for process in started]
    for process, (_, errors) in zip(started, outputs):
        if process.returncode:
            raise RuntimeError(f'a process failed:\n{errors[-4000:]}')
    return [json.loads(output.splitlines()[-1]) for output, _ in outputs]


def _samples(batch_size: int, size: int) -> list[SegDataSample]:
    samples = []
    for _ in range(batch_size):
        mask = torch.zeros(1, size, size, dtype=torch.long)
        mask[:, : size // 2, : size // 2] = 1
        sample = SegDataSample(metainfo=dict(lesion_classes=('polyp',)))
        sample.gt_sem_seg = PixelData(data=mask)
        sample.set_metainfo(dict.fromkeys(('img_shape', 'ori_shape'), (size, size)))
        samples.append(sample)
    return samples


def run_process(config: str, batch_size: int, size: int, steps: int) -> dict[str, Any]:
    """Train in this process, one of ``WORLD_SIZE``; see :func:`measure_scaling`."""
    on_gpu = torch.cuda.is_available()
    dist.init_process_group('nccl' if on_gpu else 'gloo')
    device = f'cuda:{os.environ["LOCAL_RANK"]}' if on_gpu else 'cpu'
    torch.set_num_threads(1)
    cfg = Config.fromfile(config)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    torch.manual_seed(0)
    model = fill_with_noise(MODELS.build(cfg.model)).to(device).train()
    counted = None
    if dist.get_world_size() > 1:
        model = MMDistributedDataParallel(
            model, broadcast_buffers=False, device_ids=[device] if on_gpu else None
        )
        counted = ReducedBytes(model)
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    inputs = [torch.randint(0, 256, (3, size, size)).byte() for _ in range(batch_size)]
    times = []
    for _ in range(_WARM_UP + steps):
        batch = dict(inputs=list(inputs), data_samples=_samples(batch_size, size))
        start = time.perf_counter()
        model.train_step(batch, optim_wrapper)
        if on_gpu:
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if on_gpu:
        peak = torch.cuda.max_memory_allocated()
    dist.destroy_process_group()
    return dict(
        milliseconds=times[_WARM_UP:],
        peak_megabytes=peak / 1e6,
        reduced_bytes=counted.total // len(times) if counted else 0,
        trained_bytes=trained_bytes(model),
    )


if __name__ == '__main__':
    import mcdrl_mmseg  # noqa: F401  (registers the components)

    print(json.dumps(run_process(sys.argv[1], *map(int, sys.argv[2:]))))
