"""Weights from files that may be untrusted: tensors are loaded, code is never run."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlparse
from zipfile import BadZipFile

import torch
from torch import Tensor, nn
from torch._weights_only_unpickler import _get_allowed_globals

from mcdrl_common import InputError
from mcdrl_common.printable import short_repr
from mcdrl_common.whole_checkpoint import damaged_member

from .compat import allow_mmengine_checkpoints, mmengine_globals

# Whether torch's safe loader accepts allowed globals by name.
_SAFE_GLOBALS = torch.__version__ >= (2, 6)
# First digits of the file's SHA-256, as in resnet50_v1c-2cccc1ad.pth.
_HASH_IN_NAME = re.compile(r'-([a-f0-9]{8,})\.\w+$')
_BYTEARRAY = 'builtins.bytearray'
# Entries of an MMEngine checkpoint; each must be a dict if present.
_PARTS = ('state_dict', 'meta', 'message_hub')
_SHOWN_KEYS = 4


class CheckpointError(InputError, RuntimeError):
    """A checkpoint that cannot be used; the message names the file."""


class UnsafeCheckpointError(CheckpointError):
    """A pickle that contains more than tensors and plain data.

    Args:
        source: File or URL.
        held: Name of the first object that was refused; None if torch does not name
            one, as for most files that are no pickles at all.
    """

    def __init__(self, source: str | os.PathLike, held: str | None) -> None:
        self.held = held
        what = f' ({held})' if held else ''
        super().__init__(
            f'{source} was refused: it contains more than tensors and plain '
            f'data{what}, or is damaged. Unpickling such a file can run code. If you '
            'trust its origin, save its state dict alone: '
            "torch.save({'state_dict': ..., 'meta': {'cfg': ...}}, FILE)."
        )


def load_tensors(path: str | os.PathLike, map_location: Any = 'cpu') -> Any:
    """Read a file of ``torch.save``; only tensors and plain data are unpickled.

    Besides these, only :func:`mcdrl_mmseg.compat.mmengine_globals` and globals that the
    user allowed by ``torch.serialization.add_safe_globals`` are accepted.

    Args:
        path: The file.
        map_location: As for ``torch.load``.

    Raises:
        UnsafeCheckpointError: It holds other objects, or is no pickle.
        CheckpointError: It cannot be read.
    """
    _check_whole(path)
    try:
        return _load(path, map_location)
    except pickle.UnpicklingError as error:
        # Replaces torch's message, which suggests loading with weights_only=False.
        raise UnsafeCheckpointError(path, _held(error)) from None
    except Exception as error:
        # Some of torch's other messages suggest the same.
        if 'weights_only' in str(error):
            raise UnsafeCheckpointError(path, None) from None
        raise CheckpointError(
            f'{path} could not be read as a checkpoint. It may be damaged, or be a web '
            f'page or a Git LFS pointer instead of the checkpoint: {error}'
        ) from error


def _check_whole(path: str | os.PathLike) -> None:
    """Verify the checksums in the file, which torch does not do."""
    # The format before torch 1.6 has no checksums.
    if not zipfile.is_zipfile(path):
        return
    try:
        damaged = damaged_member(path)
    except (OSError, EOFError, ValueError, NotImplementedError, BadZipFile) as error:
        raise CheckpointError(
            f'{path} could not be read as a checkpoint; it may be damaged: {error}.'
        ) from error
    if damaged:
        raise CheckpointError(
            f'{path} is damaged: its member {damaged} does not match its checksum. '
            'Download or copy the file again, or use another checkpoint.'
        )


def check_parts(content: Any, source: str | os.PathLike) -> None:
    """Refuse content that is neither a checkpoint nor a state dict.

    Args:
        content: Content of a file of ``torch.save``.
        source: File or URL, for messages.

    Raises:
        CheckpointError: It has another layout than a checkpoint or a state dict.
    """
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f'{source} holds no weights: expected a checkpoint or a state dict, '
            f'got {type(content).__name__}.'
        )
    for name in _PARTS:
        part = content.get(name)
        if part is not None and not isinstance(part, Mapping):
            raise CheckpointError(
                f'{source}: {name} has type {type(part).__name__}; expected a dict. '
                'The file was changed, or was made by another program.'
            )
    for name, part in ('content', content), ('state_dict', content.get('state_dict')):
        for key in part or ():
            if not isinstance(key, str):
                raise CheckpointError(
                    f'{source}: {name}: the key {short_repr(key)} is not a string; '
                    'expected the name of a weight.'
                )


def check_weights(
    own: Mapping[str, Tensor], state: Mapping[str, Any], source: str | os.PathLike
) -> None:
    """Refuse weights that would give wrong results without an error.

    Args:
        own: ``state_dict`` of the model that will load them.
        state: The weights; keys that the model does not have are ignored.
        source: File or URL, for messages.

    Raises:
        CheckpointError: A weight, cast to the model's dtype, is not finite where the
            model's own weight is; has another kind of dtype (integer or bool instead of
            floating point); or is sparse or has no values.
    """
    shared = [key for key in own if isinstance(state.get(key), Tensor)]
    hollow = [k for k in shared if state[k].is_meta or state[k].layout != torch.strided]
    if hollow:
        raise CheckpointError(
            f'{source}: {hollow[0]} and {len(hollow) - 1} more weights are sparse or '
            'have no values (meta). Save them as dense tensors.'
        )
    cast = [key for key in shared if _kind(own[key]) != _kind(state[key])]
    if cast:
        raise CheckpointError(
            f'{source}: {cast[0]} and {len(cast) - 1} more weights have dtype '
            f'{state[cast[0]].dtype}, but the model has {own[cast[0]].dtype}. '
            'Nothing was loaded: the file holds a quantised or a different model.'
        )
    odd = [key for key in shared if not _is_usable(state[key], own[key])]
    if odd:
        raise CheckpointError(
            f'{source}: {odd[0]} and {len(odd) - 1} more weights are NaN or '
            'infinite: the training diverged, or the file was changed. Use an '
            'earlier checkpoint.'
        )


def refuse_misfit(
    source: str | os.PathLike,
    model: nn.Module,
    missing: Sequence[str],
    other_shape: Sequence[str],
    remedy: str,
) -> None:
    """Refuse a checkpoint that would leave weights of a model random.

    Args:
        source: Name of the file.
        model: The model.
        missing: Weights of the model that the checkpoint lacks.
        other_shape: Weights that have another shape in the checkpoint.
        remedy: What to do.

    Raises:
        CheckpointError: There are missing weights or weights of another shape.
    """
    if missing or other_shape:
        raise CheckpointError(
            f'{source} does not fit the config: {len(missing)} of '
            f'{len(model.state_dict())} weights are missing{few_keys(missing)}, '
            f'{len(other_shape)} have a different shape{few_keys(other_shape)}. '
            f'{remedy}'
        )


def few_keys(keys: Sequence[str]) -> str:
    """The first of some names, in brackets after a space; nothing for none."""
    more = ', ...' if len(keys) > _SHOWN_KEYS else ''
    return f' ({", ".join(keys[:_SHOWN_KEYS])}{more})' if keys else ''


def _kind(tensor: Tensor) -> tuple[bool, bool]:
    return tensor.is_floating_point(), tensor.is_complex()


def _is_usable(value: Tensor, own: Tensor) -> bool:
    if not value.is_floating_point():
        return True
    same = value.shape == own.shape and not own.is_meta
    if not same and value.nbytes > value.untyped_storage().nbytes():
        # With strides of 0 the storage is smaller than the tensor: check the storage.
        value = value.new_empty(0).set_(value.untyped_storage())
    # In the model's dtype: a finite float64 can be infinite as float32.
    value = value.to(own.dtype)
    if value.isfinite().all():
        return True
    # Attention masks are infinite by design.
    return same and torch.equal(value.isfinite().cpu(), own.isfinite().cpu())


def _held(error: pickle.UnpicklingError) -> str | None:
    held = re.search(r'(?:GLOBAL|function|class) (\S+?)(?: was| is|\.? |$)', str(error))
    return held[1] if held else None


def _load(path: str | os.PathLike, map_location: Any) -> Any:
    """``torch.load(weights_only=True)`` with exactly our allow-list.

    MMEngine's own allow-list contains ``getattr``, for its histories. Through
    ``getattr`` a file can reach every module and so run code.
    """
    if not _SAFE_GLOBALS:
        return torch.load(
            path, map_location, pickle_module=_AllowListPickle, weights_only=False
        )
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals([g for g in before if not _is_getattr(g)])
    allow_mmengine_checkpoints()
    # bytearray(n) allocates n bytes, which a file could abuse; no checkpoint needs it.
    allowed = _get_allowed_globals()
    bytes_of = allowed.pop(_BYTEARRAY, None)
    try:
        return torch.load(path, map_location, weights_only=True)
    finally:
        if bytes_of is not None:
            allowed[_BYTEARRAY] = bytes_of
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _is_getattr(allowed: Any) -> bool:
    return (allowed[0] if isinstance(allowed, tuple) else allowed) is getattr


class _AllowListUnpickler(pickle.Unpickler):
    """Unpickler that finds only globals of the safe loader's and our allow-list."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._allowed = {**_get_allowed_globals(), **mmengine_globals()}
        self._allowed.pop(_BYTEARRAY, None)

    def find_class(self, module: str, name: str) -> Any:
        # Old pickle protocols use the module names of Python 2.
        module, name = NAME_MAPPING.get((module, name), (module, name))
        module = IMPORT_MAPPING.get(module, module)
        try:
            return self._allowed[f'{module}.{name}']
        except KeyError:
            raise pickle.UnpicklingError(
                f'GLOBAL {module}.{name} was not an allowed global'
            ) from None


class _AllowListPickle:
    """Replaces the module ``pickle`` in ``torch.load``."""

    Unpickler = _AllowListUnpickler

    @staticmethod
    def load(file: IO[bytes], **kwargs: Any) -> Any:
        return _AllowListUnpickler(file, **kwargs).load()


def guard_mmengine_loaders() -> None:
    """Let MMEngine load checkpoints (files and URLs) as :func:`load_tensors` does.

    ``load_from``, ``--resume``, ``init_cfg`` of type ``Pretrained`` and
    ``mmseg.apis.init_model`` then refuse a file that could run code. MMEngine 0.10.7
    leaves that to torch, which refuses such files since 2.6; its maintained
    continuation unpickles everything if the safe load fails. Downloads are checked
    against the hash in their name, and all weights by :func:`check_weights`. May be
    called repeatedly.
    """
    from mmengine.runner import checkpoint

    checkpoint.CheckpointLoader.register_scheme('', load_from_local, force=True)
    # MMEngine loads all its published weights through this function.
    checkpoint.load_url = load_url
    # And it loads weights into a model through this one.
    original = checkpoint.load_state_dict
    if not hasattr(original, '__wrapped__'):
        checkpoint.load_state_dict = _checked(original)


def _checked(original: Callable) -> Callable:
    @wraps(original)
    def load_state_dict(
        module: nn.Module, state_dict: Mapping, *args: Any, **kwargs: Any
    ) -> None:
        check_weights(module.state_dict(), state_dict, 'The checkpoint')
        original(module, state_dict, *args, **kwargs)

    return load_state_dict


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Read a local file, for MMEngine.

    Args:
        filename: The file; ``~`` is the home folder.
        map_location: As for ``torch.load``.

    Raises:
        FileNotFoundError: No such file.
        CheckpointError: See :func:`load_tensors` and :func:`check_parts`.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {str(path)!r} is not a file.')
    content = load_tensors(path, map_location)
    check_parts(content, path)
    return content


def load_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
) -> Any:
    """Download a file, unless it is in torch's cache, and read it, for MMEngine.

    Args:
        url: The URL. If the file name is ``NAME-<first digits of its SHA-256>.pth``, as
            usual for published weights, its content is checked.
        model_dir: Folder of the downloaded file; None takes torch's.
        map_location: As for ``torch.load``.
        progress: Whether to show a progress bar.

    Raises:
        CheckpointError: It holds more than plain data, or does not match the hash in
            its name.
        OSError: It could not be downloaded.
    """
    folder = Path(model_dir or Path(torch.hub.get_dir()) / 'checkpoints')
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PurePosixPath(urlparse(url).path).name
    if not path.is_file():
        hashed = _HASH_IN_NAME.search(path.name)
        try:
            # It gets its final name only after it is complete and checked.
            torch.hub.download_url_to_file(
                url, str(path), hashed and hashed[1], progress
            )
        except RuntimeError as error:
            raise CheckpointError(
                f'The download of {url} was discarded: {error}.'
            ) from error
    content = load_tensors(path, map_location)
    check_parts(content, path)
    return content
