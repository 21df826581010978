"""A copy of a checkpoint with one more entry in its ``meta``."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any


def write_with_meta(checkpoint: Path, out: Path, key: str, value: Any) -> None:
    """Write a copy with one more entry, atomically: a kill leaves no partial file.

    Args:
        checkpoint: Checkpoint file.
        out: File to write.
        key: Name of the entry.
        value: The entry.

    Raises:
        OutputError: The disk is full or read-only.
    """
    import torch

    from mcdrl_common.atomic_write import write_bytes
    from mcdrl_common.written_files import WrittenFiles, output_errors
    from mcdrl_mmseg.apis.checkpoint import read_checkpoint

    content = read_checkpoint(checkpoint)
    meta = {**(content.get('meta') or {}), key: value}
    with output_errors(out):
        # Through a buffer: torch's own C++ file writer hides that the disk is full.
        buffer = io.BytesIO()
        torch.save({**content, 'meta': meta}, buffer)
        write_bytes(out, buffer.getvalue())
        WrittenFiles(out.parent).add(out)
