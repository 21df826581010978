"""A file backend whose files are either whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

REPLACING = 'mcdrl_replacing'


@register_backend(REPLACING, force=True)
class ReplacingBackend(LocalBackend):
    """MMEngine's local backend, which moves a file into place when it is whole.

    A hook that takes ``backend_args`` writes through it with
    ``backend_args=dict(backend='mcdrl_replacing')``.
    """

    def put(self, obj: bytes, filepath: str | os.PathLike) -> None:
        """Write a file under another name, onto the disk, and rename it.

        Args:
            obj: Content.
            filepath: The file; its folder is made. One that is there stays whole until
                the new one is.

        Raises:
            OSError: It cannot be written; names the file and what stands.
        """
        path = Path(filepath)
        # The same name each time: what a kill left is written over, not heaped up.
        partial = path.with_name(f'.{path.name}.partial')
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(partial, 'wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        except OSError as error:
            # Neither may a full disk stay full for a file that nobody can use.
            partial.unlink(missing_ok=True)
            raise OSError(
                error.errno,
                f'{path} could not be written ({error.strerror}, '
                f'{len(obj) / 2**20:.1f} MiB). Files written before it are whole: make '
                'room and go on with --resume',
            ) from error
