"""Finds out from an audit event's stack frames who imports what."""

from __future__ import annotations

from opcode import opmap
from types import FrameType

from ..inference_config import SCOPES

_REGISTRIES = tuple(f'{scope}.registry' for scope in SCOPES)
_IMPORT_MACHINERY = '<frozen importlib._bootstrap>'


def is_of_itself(name: str, frame: FrameType) -> bool:
    """Whether a package imports its own module."""
    asking = frame.f_globals.get('__name__', '').partition('.')[0]
    return name.partition('.')[0] == asking


def fills_registry(name: str, frame: FrameType) -> bool:
    """Whether a registry imports the modules that its own package registers."""
    if frame.f_globals.get('__name__') != 'mmengine.registry.registry':
        return False
    return frame.f_code.co_name == 'import_from_location' or name in _REGISTRIES


def is_literal_import(frame: FrameType) -> bool:
    """Whether an event comes from an import statement, with a name in the code."""
    return frame.f_code.co_code[frame.f_lasti] == opmap['IMPORT_NAME']


def is_importing(frame: FrameType | None, outside: FrameType) -> bool:
    """Whether the sealed block is inside an import, which was allowed when it began.

    Args:
        frame: The current frame.
        outside: The frame that contains the block; it and its callers are not checked.
    """
    while frame is not None and frame is not outside:
        code = frame.f_code
        if code.co_filename == _IMPORT_MACHINERY and code.co_name == '_find_and_load':
            return True
        frame = frame.f_back
    return False
