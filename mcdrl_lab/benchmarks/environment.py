"""The machine, versions and threads that measurements were taken with."""

from __future__ import annotations

import os
import platform
from datetime import date
from pathlib import Path
from typing import Any

import torch

from mcdrl_lab.installed_versions import installed_versions


def environment(device: str) -> dict[str, object]:
    """Describe the machine that measures.

    Args:
        device: As ``'cpu'`` or ``'cuda:0'``.
    """
    on_gpu = device.startswith('cuda')
    return dict(
        date=date.today().isoformat(),
        device=torch.cuda.get_device_name(device) if on_gpu else device,
        cpu=_cpu_name(),
        cores=os.cpu_count(),
        threads=torch.get_num_threads(),
        python=platform.python_version(),
        versions=installed_versions(),
    )


def _cpu_name() -> str:
    cpuinfo = Path('/proc/cpuinfo')
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding='utf-8').splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    return platform.processor() or platform.machine()


def sentence(described: dict[str, Any]) -> str:
    """Format the description as one line of text.

    Args:
        described: From :func:`environment`.
    """
    versions = described['versions']
    return (
        f'{described["date"]}, {described["device"]}; {described["cpu"]}, '
        f'{described["cores"]} cores, {described["threads"]} threads; Python '
        f'{described["python"]}, {versions["torch"]}, {versions["mmseg"]}, '
        f'{versions["open_clip"]}'
    )
