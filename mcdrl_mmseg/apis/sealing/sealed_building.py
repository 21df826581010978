"""A context in which an untrusted config is built without access to the outside.

Literals are harmless until a component uses one as the name of a file, module or class,
or as a URL. There are hundreds of components, with libraries behind them, so the
arguments that are used like this cannot be listed. Therefore the access itself is
refused, whichever component makes it: Python reports to audit hooks what it opens,
unpickles, imports, connects to and starts. Access without audit events (readers written
in C++ and Rust, look-ups of modules that are already imported) is refused by wrapping
the functions.
"""

from __future__ import annotations

import importlib
import math
import os
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, partial, wraps
from pathlib import Path
from types import FrameType
from typing import Any

from mmengine.config import Config

from ..checkpoint_config import CheckpointConfig, CheckpointConfigError
from .image_growth import GROWERS, MOST_PIXELS
from .import_events import (
    fills_registry,
    is_importing,
    is_literal_import,
    is_of_itself,
)
from .request_origin import (
    MIN_VALUE_LENGTH,
    entry_of_request,
    is_named_in,
    is_value,
    strings,
)

# Prefixes of Python's audit events, and the request in words.
_FORBIDDEN = {
    'pickle.find_class': 'to unpickle',
    'socket.': 'to reach the network at',
    'urllib.': 'to reach the network at',
    'http.': 'to reach the network at',
    'ftplib.': 'to reach the network at',
    'subprocess.': 'to start the program',
    'os.system': 'to start the program',
    'os.exec': 'to start the program',
    'os.posix_spawn': 'to start the program',
    'os.fork': 'to start a process',
    'os.remove': 'to remove',
    'os.rmdir': 'to remove',
    'os.rename': 'to rename',
    'os.mkdir': 'to make the folder',
    'os.link': 'to link',
    'os.symlink': 'to link',
    'os.truncate': 'to truncate',
    'os.chmod': 'to change',
    'os.chown': 'to change',
    'os.utime': 'to change',
    'os.putenv': 'to set the environment variable',
    'os.unsetenv': 'to set the environment variable',
    'shutil.': 'to copy or move',
    'tempfile.': 'to write',
    'sqlite3.': 'to open',
    'webbrowser.': 'to open',
}
_READS = ('os.listdir', 'os.scandir', 'glob.glob', 'ctypes.dlopen')
# Readers that are not written in Python and raise no audit events.
_NATIVE_READERS = (
    ('torch', 'from_file'),
    ('torch._C', 'import_ir_module'),
    ('safetensors', 'safe_open'),
    ('safetensors.torch', 'safe_open'),
    ('cv2', 'imread'),
    ('mmengine.fileio', 'get_file_backend'),
    ('mmengine.fileio.io', 'get_file_backend'),
)
_FROM_STRING = (
    ('mmengine.registry.registry', 'get_object_from_string'),
    ('mmengine.utils', 'get_object_from_string'),
    ('mmengine.utils.misc', 'get_object_from_string'),
)
# Which of these exists depends on Python's version.
_THREADS = (
    ('threading', '_start_new_thread'),
    ('threading', '_start_joinable_thread'),
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
# MMEngine's error messages contain whole configs.
_LONGEST_REASON = 300


@dataclass
class _Seal:
    """State of one sealed build: its config, and the first refusal."""

    config: Mapping
    source: str
    outside: FrameType
    refused: CheckpointConfigError | None = None
    # Set during a check, whose own audit events must not be checked.
    checking: bool = False

    def refuse(self, request: str, argument: Any, frame: FrameType | None) -> None:
        """Raise an error, and keep it, since a component may catch it and continue."""
        what = os.fsdecode(argument) if isinstance(argument, bytes) else str(argument)
        entry = entry_of_request(self.config, what, frame)
        error = CheckpointConfigError(
            f'{self.source}: {entry} in its config asks {request} {what!r}, which was '
            'refused. The config of a checkpoint must not open, import, unpickle or '
            'download anything. If you trust its origin, name its config file with '
            '--config.'
        )
        self.refused = self.refused or error
        raise error


_SEAL: ContextVar[_Seal | None] = ContextVar('seal', default=None)


@contextmanager
def sealed(config: Mapping, source: str | os.PathLike) -> Iterator[None]:
    """Context in which an untrusted config may be built.

    The block may read installed files, and import modules that installed code names. It
    applies to the current thread.

    Args:
        config: The config, whose entries the errors name.
        source: Name of the checkpoint, for messages.

    Raises:
        CheckpointConfigError: The block requested something else, even if it caught the
            refusal itself.
    """
    _install()
    # Skip this function's and contextlib's frame: the frame of the block.
    seal = _Seal(config, str(source), sys._getframe(2))
    token = _SEAL.set(seal)
    try:
        yield
    except Exception as error:
        if seal.refused:
            raise seal.refused from None
        raise error
    finally:
        _SEAL.reset(token)
    if seal.refused:
        raise seal.refused


def sealed_if_strange(config: Mapping | Config) -> AbstractContextManager:
    """:func:`sealed` for a config from a checkpoint; no effect for other configs.

    Args:
        config: The config that is built in the block.
    """
    return seals_if_strange(config)()


def seals_if_strange(config: Mapping | Config) -> Callable[[], AbstractContextManager]:
    """Factory of :func:`sealed_if_strange` contexts for many blocks.

    The config is copied only once, which takes a millisecond: too long for every image.

    Args:
        config: The config that is built, or whose components run, in the blocks.
    """
    if isinstance(config, CheckpointConfig):
        return partial(sealed, config.to_dict(), config.source)
    return nullcontext


@contextmanager
def named_failures(config: Mapping | Config, key: str) -> Iterator[None]:
    """Context that names checkpoint and key if its config cannot be built.

    Enter it before :func:`sealed_if_strange`.

    Args:
        config: The config that is built in the block. Errors of a config that is not
            from a checkpoint pass unchanged.
        key: Key of the part that is built.

    Raises:
        CheckpointConfigError: The block raised any error.
    """
    try:
        yield
    except CheckpointConfigError:
        raise
    except Exception as error:
        if not isinstance(config, CheckpointConfig):
            raise
        reason = str(error).strip() or type(error).__name__
        raise CheckpointConfigError(
            f'{config.source}: {key} in its config cannot be built: '
            f'{reason[:_LONGEST_REASON]}. If the checkpoint has a config file, name it '
            'with --config.'
        ) from error


@cache
def _install() -> None:
    """Install hook and wrappers, once per process; no effect outside of the context."""
    _installed_folders()
    for module, name in _NATIVE_READERS:
        _guard(module, name, 'to open')
    for module, name in _FROM_STRING:
        _guard(module, name, 'to import by name')
    for module, name in _THREADS:
        _guard(module, name, 'to start a thread with')
    for owner, name, pixels in GROWERS:
        _guard_growth(owner, name, pixels)
    importlib._bootstrap._gcd_import = _checked_import(  # type: ignore[attr-defined]
        importlib._bootstrap._gcd_import  # type: ignore[attr-defined]
    )
    sys.addaudithook(_check_event)


def _guard(module: str, name: str, request: str) -> None:
    owner = sys.modules.get(module)
    original = getattr(owner, name, None)
    if original is None:
        return

    @wraps(original)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        seal = _SEAL.get()
        if seal and not is_importing(sys._getframe(1), seal.outside):
            asked = [*args, *kwargs.values()]
            named = next((a for a in asked if isinstance(a, str | os.PathLike)), name)
            seal.refuse(request, named, sys._getframe(1))
        return original(*args, **kwargs)

    setattr(owner, name, guarded)


def _guard_growth(owner: Any, name: str, pixels: Callable[..., float]) -> None:
    original = getattr(owner, name)

    @wraps(original)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        seal = _SEAL.get()
        if seal:
            count = pixels(*args, **kwargs)
            # An image that is already larger may keep its size.
            size = getattr(args[0] if args else kwargs.get('src'), 'size', 0)
            most = max(
                MOST_PIXELS, math.prod(size) if isinstance(size, tuple) else size
            )
            if count > most:
                seal.refused = seal.refused or CheckpointConfigError(
                    f'{seal.source}: the test pipeline in its config makes an image of '
                    f'{count:.0f} pixels; the limit for the config of a checkpoint is '
                    f'{MOST_PIXELS}. If you trust its origin, name its config file '
                    'with --config.'
                )
                raise seal.refused
        return original(*args, **kwargs)

    setattr(owner, name, guarded)


def _checked_import(original: Callable) -> Callable:
    """Wrapper of ``importlib.import_module``, whose name may come from the config."""

    def checked(name: str, package: str | None = None, level: int = 0) -> Any:
        seal = _SEAL.get()
        if seal:
            # Skip import_module's own frame.
            frame = sys._getframe(2)
            by_code = is_of_itself(name, frame) and not is_named_in(seal.config, name)
            known = level or by_code or fills_registry(name, frame)
            if not known and not is_importing(frame, seal.outside):
                # To look up a type a.B, MMEngine first imports a.registry.
                asked = name.removesuffix('.registry')
                seal.refuse('to import by name', asked, frame)
        return original(name, package, level)

    return checked


def _check_event(event: str, args: tuple, current: Callable = _SEAL.get) -> None:
    """Audit hook.

    It still runs at interpreter shutdown, when this module's globals are None.
    Therefore it holds what it needs outside of a block as a default argument.
    """
    seal = current()
    if seal is None or seal.checking:
        return
    seal.checking = True
    frame = sys._getframe(1)
    try:
        # A config has no influence on what installed modules do at import.
        if is_importing(frame, seal.outside):
            return
        if event == 'open':
            _check_open(seal, frame, *args)
        elif event == 'import':
            if not is_literal_import(frame) and not is_of_itself(args[0], frame):
                seal.refuse('to import by name', args[0], frame)
        elif event == 'compile':
            _check_compile(seal, frame, *args)
        elif event in _READS:
            if not _is_installed(args[0]):
                seal.refuse('to open', args[0], frame)
        else:
            for start, request in _FORBIDDEN.items():
                if event.startswith(start):
                    seal.refuse(request, _argument(event, args), frame)
    finally:
        seal.checking = False


def _argument(event: str, args: tuple) -> Any:
    if event == 'pickle.find_class':
        return '.'.join(args)
    if event.startswith('socket.') and args and not isinstance(args[0], str):
        return args[-1]
    return args[0] if args else event


def _check_open(
    seal: _Seal, frame: FrameType, path: Any, mode: str | None, flags: int
) -> None:
    if isinstance(path, int):
        return
    if flags & _WRITING:
        seal.refuse('to write', path, frame)
    if not _is_installed(path) or is_value(seal.config, path):
        seal.refuse('to open', path, frame)


def _check_compile(seal: _Seal, frame: FrameType, text: Any, name: Any) -> None:
    """Refuse to compile text from the config, except by the standard library."""
    own = sysconfig.get_path('stdlib')
    caller = frame.f_code.co_filename
    by_library = caller.startswith((own, '<frozen', '<string>')) and (
        'site-packages' not in caller
    )
    if isinstance(text, str | bytes) and not by_library:
        if isinstance(text, bytes):
            text = text.decode(errors='replace')
        if any(
            len(v) >= MIN_VALUE_LENGTH and v in text for _, v in strings(seal.config)
        ):
            seal.refuse('to run', text, frame)


@cache
def _installed_folders() -> tuple[str, ...]:
    places = {
        sysconfig.get_path(n) for n in ('stdlib', 'platstdlib', 'purelib', 'platlib')
    }
    for name in ('mcdrl_mmseg', 'mmseg', 'mmengine', 'mmcv', 'mmpretrain', 'torch'):
        file = getattr(sys.modules.get(name), '__file__', None)
        if file:
            places.add(str(Path(file).parent))
    return tuple(os.path.realpath(place) + os.sep for place in places)


def _is_installed(path: Any) -> bool:
    if path is None:
        return False
    place = os.path.realpath(os.fsdecode(path))
    return (place + os.sep).startswith(_installed_folders())
