"""A file backend with atomic writes: a file is complete or does not exist."""

from __future__ import annotations

import os

from mmengine.fileio import LocalBackend, register_backend

ATOMIC_BACKEND = 'mcdrl_atomic'


@register_backend(ATOMIC_BACKEND, force=True)
class AtomicBackend(LocalBackend):
    """MMEngine's local backend, but a file is moved into place when it is complete.

    Hooks with an argument ``backend_args`` use it through
    ``backend_args=dict(backend='mcdrl_atomic')``.
    """

    def put(self, obj: bytes, filepath: str | os.PathLike) -> None:
        """Write to a temporary file, flush it to disk, and rename it.

        Args:
            obj: Content.
            filepath: The file; its folder is made. An existing file stays until the
                new one is complete. No other process may write it at the same time.

        Raises:
            OSError: It cannot be written; the message names the file and its state.
        """
        from mcdrl_common.atomic_write import atomic_write, remove_unfinished

        try:
            # Temporary files of killed runs are removed: checkpoints are large.
            remove_unfinished(filepath)
            with atomic_write(filepath) as temporary, open(temporary, 'wb') as file:
                file.write(obj)
        except OSError as error:
            raise OSError(
                error.errno,
                f'{filepath} could not be written ({error.strerror}, '
                f'{len(obj) / 2**20:.1f} MiB). Earlier files are intact. Make room on '
                'the disk and go on with --resume',
            ) from error
