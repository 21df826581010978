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
"""Import name of a package that a bare install lacks -> extra that brings it."""


def missing_package_message(error: ModuleNotFoundError) -> str | None:
    """What to tell whoever lacks a package of an extra.

    Args:
        error: What an import raised.

    Returns:
        One sentence with the command, or None for a module of no extra.
    """
    package = (error.name or '').partition('.')[0]
    extra = EXTRA_OF.get(package)
    if extra is None:
        return None
    return f"{package} is not installed: pip install '{DISTRIBUTION}[{extra}]'"
