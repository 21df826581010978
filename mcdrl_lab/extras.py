"""Packages that only some commands need, and how to install them."""

from __future__ import annotations

DISTRIBUTION = 'mcdrl-mmseg'

EXTRA_OF = {
    'filelock': 'lab',
    'jinja2': 'lab',
    'pandas': 'lab',
    'sklearn': 'lab',
    'yaml': 'lab',
    'starlette': 'serve',
    'uvicorn': 'serve',
    'onnx': 'export',
    'onnxruntime': 'export',
    'onnxscript': 'export',
    'pydicom': 'dicom',
    'submitit': 'slurm',
}
"""Import name of a package outside the base install -> extra that installs it."""


def missing_package_message(error: ModuleNotFoundError) -> str | None:
    """Say how to install a missing package that belongs to an extra.

    Args:
        error: The error that the import raised.

    Returns:
        One sentence with the ``pip`` command, or None if no extra has the package.
    """
    package = (error.name or '').partition('.')[0]
    extra = EXTRA_OF.get(package)
    if extra is None:
        return None
    return f"{package} is not installed: pip install '{DISTRIBUTION}[{extra}]'"
