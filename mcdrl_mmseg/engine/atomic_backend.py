"""A file backend whose files are either whole or not there."""

from __future__ import annotations

import os

from mmengine.fileio import LocalBackend, register_backend

ATOMIC_BACKEND = 'mcdrl_atomic'


@register_backend(ATOMIC_BACKEND, force=True)
class AtomicBackend(LocalBackend):
    """MMEngine's local backend, which moves a file into place when it is whole.

    A hook that takes ``backend_args`` writes through it with
    ``backend_args=dict(backend='mcdrl_atomic')``.
    """

    def put(self, obj: bytes, filepath: str | os.PathLike) -> None:
        """Write a file under another name, onto the disk, and rename it.

        Args:
            obj: Content.
            filepath: The file; its folder is made. One that is there stays whole until
                the new one is. No other process may write it at the same time.

        Raises:
            OSError: It cannot be written; names the file and what stands.
        """
        from mcdrl_common.atomic_write import atomic_write, remove_unfinished

        try:
            # Checkpoints are large: what a kill left is not heaped up.
            remove_unfinished(filepath)
            with atomic_write(filepath) as temporary, open(temporary, 'wb') as file:
                file.write(obj)
        except OSError as error:
            raise OSError(
                error.errno,
                f'{filepath} could not be written ({error.strerror}, '
                f'{len(obj) / 2**20:.1f} MiB). Files written before it are whole: make '
                'room and go on with --resume',
            ) from error
