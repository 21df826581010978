"""Time and memory of a training step on one and on several processes."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper

from .communication import ReducedBytes, trained_bytes
from .latency import spread, time_in_turns
from .models import load_subject
from .steps import Setting, lesion_class, training_batch

_WARM_UP = 3


def measure_scaling(
    config: str,
    processes: Sequence[int] = (1, 2),
    batch_size: int = 4,
    size: int = 128,
    steps: int = 20,
    repeats: int = 2,
) -> list[dict[str, Any]]:
    """Train on noise with different numbers of processes, taking turns.

    Args:
        config: Config file.
        processes: Numbers of processes on this machine; each process has one thread, or
            one GPU if there is any.
        batch_size: Images per process.
        size: Height and width in pixels.
        steps: Timed steps per start.
        repeats: Starts with each number of processes.

    Returns:
        For each number a dict of ``processes``, ``milliseconds`` (median of a step),
        ``quartiles``, ``images_per_second``, ``peak_megabytes`` (of the largest
        process), ``reduced_bytes`` (counted, per step and process) and
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
    taken = spread(np.concatenate([rank['milliseconds'] for rank in ranks]))
    return dict(
        processes=count,
        milliseconds=taken.median,
        quartiles=[taken.low, taken.high],
        images_per_second=1000 * count * batch_size / taken.median,
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


def run_process(config: str, batch_size: int, size: int, steps: int) -> dict[str, Any]:
    """Train in this process, one of ``WORLD_SIZE``; see :func:`measure_scaling`."""
    on_gpu = torch.cuda.is_available()
    dist.init_process_group('nccl' if on_gpu else 'gloo')
    device = f'cuda:{os.environ["LOCAL_RANK"]}' if on_gpu else 'cpu'
    torch.set_num_threads(1)
    torch.manual_seed(0)
    subject = load_subject(config)
    model = subject.build().to(device).train()
    counted = None
    if dist.get_world_size() > 1:
        model = MMDistributedDataParallel(
            model, broadcast_buffers=False, device_ids=[device] if on_gpu else None
        )
        counted = ReducedBytes(model)
    optim_wrapper = build_optim_wrapper(model, subject.cfg.optim_wrapper)
    setting = Setting(device, batch_size, size)
    batch = training_batch(setting, lesion_class(model.module if counted else model))

    def step() -> None:
        model.train_step({**batch, 'inputs': list(batch['inputs'])}, optim_wrapper)

    times = time_in_turns([step], steps, _WARM_UP, device)[:, 0].tolist()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if on_gpu:
        peak = torch.cuda.max_memory_allocated()
    dist.destroy_process_group()
    return dict(
        milliseconds=times,
        peak_megabytes=peak / 1e6,
        reduced_bytes=counted.total // (_WARM_UP + steps) if counted else 0,
        trained_bytes=trained_bytes(model),
    )


if __name__ == '__main__':
    import mcdrl_mmseg  # noqa: F401  (registers the components)

    print(json.dumps(run_process(sys.argv[1], *map(int, sys.argv[2:]))))
