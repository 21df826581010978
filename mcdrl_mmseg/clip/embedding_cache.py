"""A file of text embeddings, named by their fingerprint."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from mcdrl_common.atomic_write import write_bytes

_KEY = 'text_embeddings'


def cache_file(cache_dir: Path, fingerprint: str) -> Path:
    """Path of the file with the embeddings of a fingerprint."""
    return cache_dir / f'text_embeddings_{fingerprint[:32]}.safetensors'


def read_embeddings(path: Path, fingerprint: str) -> Tensor | None:
    """Read cached embeddings.

    Args:
        path: File of :func:`cache_file`.
        fingerprint: Fingerprint that the file must have.

    Returns:
        (n, d) float32. None if the file is absent, damaged or has another fingerprint;
        the embeddings are then computed again.
    """
    from safetensors import SafetensorError, safe_open

    try:
        # As NumPy arrays: for tensors safetensors opens the file a second time, and
        # another process may have replaced it by then.
        with safe_open(path, framework='np') as file:
            metadata = file.metadata() or {}
            if metadata.get('fingerprint') != fingerprint or _KEY not in file.keys():  # noqa: SIM118
                return None
            embeddings = torch.from_numpy(file.get_tensor(_KEY))
    except (OSError, SafetensorError):
        return None
    whole = (
        embeddings.ndim == 2
        and bool(embeddings.isfinite().all())
        and metadata.get('digest') == _digest(embeddings)
    )
    return embeddings if whole else None


def _digest(embeddings: Tensor) -> str:
    return hashlib.sha256(embeddings.contiguous().numpy().tobytes()).hexdigest()


def write_embeddings(path: Path, fingerprint: str, embeddings: Tensor) -> None:
    """Write embeddings under their final name only when complete.

    Args:
        path: File of :func:`cache_file`; its folder is made.
        fingerprint: Fingerprint of the embeddings.
        embeddings: (n, d).

    Raises:
        OSError: The folder cannot be written to.
    """
    from safetensors.torch import save

    embeddings = embeddings.detach().cpu().contiguous()
    metadata = {'fingerprint': fingerprint, 'digest': _digest(embeddings)}
    content = save({_KEY: embeddings}, metadata)
    # Two runs may write the same file at once.
    write_bytes(path, content)
