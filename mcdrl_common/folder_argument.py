"""Type of command line arguments that name a folder to write."""

from __future__ import annotations

import argparse
from pathlib import Path

# Of files that users may expect, as from other commands.
_FILES = (
    *('.csv', '.html', '.json', '.jsonl', '.md', '.pdf', '.txt', '.xlsx', '.yaml'),
    *('.yml', '.bmp', '.jpeg', '.jpg', '.png', '.svg', '.tif', '.tiff', '.avi'),
    *('.mp4', '.dcm', '.gz', '.tar', '.tgz', '.zip', '.npy', '.npz', '.onnx', '.pt'),
    *('.pth', '.pkl', '.log'),
)


def folder_name(text: str) -> Path:
    """Read the name of a folder to write.

    Args:
        text: The user's text.

    Raises:
        argparse.ArgumentTypeError: It is empty, or ends as the names of files do.
    """
    if not text:
        # As of a shell variable that is not set; a Path would be the current folder.
        raise argparse.ArgumentTypeError("'': the name of a folder is missing.")
    if text.lower().endswith(_FILES):
        raise argparse.ArgumentTypeError(
            f'{text!r}: this command writes several files to a folder. Name one whose '
            f'name does not end in {Path(text).suffix}.'
        )
    return Path(text)
