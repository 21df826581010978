"""Who imports, and by what: read from the frames behind an audit event."""

from __future__ import annotations

from opcode import opmap
from types import FrameType

from ..inference_config import SCOPES

_REGISTRIES = tuple(f'{scope}.registry' for scope in SCOPES)
_IMPORT_MACHINERY = '<frozen importlib._bootstrap>'


def is_of_itself(name: str, frame: FrameType) -> bool:
    """Whether a package imports a part of its own."""
    asking = frame.f_globals.get('__name__', '').partition('.')[0]
    return name.partition('.')[0] == asking


def fills_registry(name: str, frame: FrameType) -> bool:
    """Whether a registry imports what its own package registers."""
    if frame.f_globals.get('__name__') != 'mmengine.registry.registry':
        return False
    return frame.f_code.co_name == 'import_from_location' or name in _REGISTRIES


def is_literal_import(frame: FrameType) -> bool:
    """Whether an event comes from an import statement, whose name the code holds."""
    return frame.f_code.co_code[frame.f_lasti] == opmap['IMPORT_NAME']


def is_importing(frame: FrameType | None, outside: FrameType) -> bool:
    """Whether a block is in the middle of an import, which was allowed then.

    Args:
        frame: What runs.
        outside: What the block stands in: no frame from there on is looked at.
    """
    while frame is not None and frame is not outside:
        code = frame.f_code
        if code.co_filename == _IMPORT_MACHINERY and code.co_name == '_find_and_load':
            return True
        frame = frame.f_back
    return False
