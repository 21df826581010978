"""Weights from files that may be untrusted: tensors are loaded, programs are not."""

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

# Whether torch's safe loader takes a list of what else is allowed, by name.
_SAFE_GLOBALS = torch.__version__ >= (2, 6)
# As in resnet50_v1c-2cccc1ad.pth: the first digits of the file's SHA-256.
_HASH_IN_NAME = re.compile(r'-([a-f0-9]{8,})\.\w+$')
_BYTEARRAY = 'builtins.bytearray'
# Of a checkpoint of MMEngine; each a dict where it is there.
_PARTS = ('state_dict', 'meta', 'message_hub')
_SHOWN_KEYS = 4


class CheckpointError(InputError, RuntimeError):
    """A checkpoint that is not used; the message names the file."""


class UnsafeCheckpointError(CheckpointError):
    """A pickle of more than tensors and plain data.

    Args:
        source: File or address.
        held: Name of the first object that was refused; None where torch does not
            tell, which is so for most files that are no pickles at all.
    """

    def __init__(self, source: str | os.PathLike, held: str | None) -> None:
        self.held = held
        what = f' ({held})' if held else ''
        super().__init__(
            f'{source} holds more than tensors and plain data{what}, or is damaged, '
            'and was refused, since unpickling it can run code. Save its state dict '
            'alone, on a machine where you trust it: '
            "torch.save({'state_dict': ..., 'meta': {'cfg': ...}}, FILE)."
        )


def load_tensors(path: str | os.PathLike, map_location: Any = 'cpu') -> Any:
    """Read a file of ``torch.save`` without unpickling anything but plain data.

    Of objects only tensors and :func:`mcdrl_mmseg.compat.mmengine_globals` are
    allowed, and what the user allowed by ``torch.serialization.add_safe_globals``.

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
        # Not torch's own message, which advises to load without the safeguard.
        raise UnsafeCheckpointError(path, _held(error)) from None
    except Exception as error:
        # Some of torch's other messages advise the same, as part of a longer text.
        if 'weights_only' in str(error):
            raise UnsafeCheckpointError(path, None) from None
        raise CheckpointError(
            f'{path} could not be read as a checkpoint; it may be damaged, or a web '
            f"page or a Git LFS pointer in the checkpoint's place: {error}"
        ) from error


def _check_whole(path: str | os.PathLike) -> None:
    """Compare the checksums in the file, which torch does not."""
    # The format of before torch 1.6 holds none.
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
            f'{path} is damaged: {damaged} in it does not match its checksum. Take '
            'another checkpoint, or fetch or copy the file again.'
        )


def check_parts(content: Any, source: str | os.PathLike) -> None:
    """Refuse what every reader of checkpoints would stumble over.

    Args:
        content: Of a file of ``torch.save``.
        source: File or address, for messages.

    Raises:
        CheckpointError: It has another layout than a checkpoint or a state dict.
    """
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f'{source} holds no weights: {type(content).__name__}; expected a '
            'checkpoint, or a state dict.'
        )
    for name in _PARTS:
        part = content.get(name)
        if part is not None and not isinstance(part, Mapping):
            raise CheckpointError(
                f'{source}: {name} is of type {type(part).__name__}; expected a dict. '
                'The file was changed or is of another program.'
            )
    for name, part in ('content', content), ('state_dict', content.get('state_dict')):
        for key in part or ():
            if not isinstance(key, str):
                raise CheckpointError(
                    f'{source}: {name}: the key {short_repr(key)} is not text; '
                    'expected names of weights.'
                )


def check_weights(
    own: Mapping[str, Tensor], state: Mapping[str, Any], source: str | os.PathLike
) -> None:
    """Refuse weights that would give a wrong answer without an error.

    Args:
        own: ``state_dict`` of the model that they are for.
        state: The weights; those that the model has no use for are not looked at.
        source: File or address, for messages.

    Raises:
        CheckpointError: A weight, cast to the model's dtype, is not finite where the
            model's own is; is of another kind (integers or truth values for
            floating-point numbers); or is sparse or without values.
    """
    shared = [key for key in own if isinstance(state.get(key), Tensor)]
    hollow = [k for k in shared if state[k].is_meta or state[k].layout != torch.strided]
    if hollow:
        raise CheckpointError(
            f'{source}: {hollow[0]} and {len(hollow) - 1} more weights are sparse or '
            'hold no values (meta); expected dense tensors. Save them as such.'
        )
    cast = [key for key in shared if _kind(own[key]) != _kind(state[key])]
    if cast:
        raise CheckpointError(
            f'{source}: {cast[0]} and {len(cast) - 1} more weights are '
            f'{state[cast[0]].dtype}, where the model has {own[cast[0]].dtype}. '
            'A quantised model or another one was saved; nothing was loaded.'
        )
    odd = [key for key in shared if not _is_usable(state[key], own[key])]
    if odd:
        raise CheckpointError(
            f'{source}: {odd[0]} and {len(odd) - 1} more weights hold NaN or '
            'infinite values: the training diverged, or the file was changed. Take '
            'an earlier checkpoint.'
        )


def refuse_misfit(
    source: str | os.PathLike,
    model: nn.Module,
    missing: Sequence[str],
    other_shape: Sequence[str],
    remedy: str,
) -> None:
    """Refuse a checkpoint that would leave weights of a model as they were drawn.

    Args:
        source: Name of the file.
        model: The model.
        missing: Weights of the model that it lacks.
        other_shape: Those that it has in another shape.
        remedy: What to do.

    Raises:
        CheckpointError: There are some.
    """
    if missing or other_shape:
        raise CheckpointError(
            f'{source} does not fit the config: {len(missing)} of '
            f'{len(model.state_dict())} weights are missing{few_keys(missing)}, '
            f'{len(other_shape)} have another shape{few_keys(other_shape)}. {remedy}'
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
        # Few numbers that stand for any number of weights: these are looked at.
        value = value.new_empty(0).set_(value.untyped_storage())
    # As it will be used: a finite float64 can be infinite as float32.
    value = value.to(own.dtype)
    if value.isfinite().all():
        return True
    # Masks of attention are infinite by design.
    return same and torch.equal(value.isfinite().cpu(), own.isfinite().cpu())


def _held(error: pickle.UnpicklingError) -> str | None:
    held = re.search(r'(?:GLOBAL|function|class) (\S+?)(?: was| is|\.? |$)', str(error))
    return held[1] if held else None


def _load(path: str | os.PathLike, map_location: Any) -> Any:
    """``torch.load(weights_only=True)``, with exactly our list of what is allowed.

    MMEngine's own list has ``getattr`` on it, for the histories. By ``getattr`` a file
    reaches every module and can change what its names stand for: it runs code.
    """
    if not _SAFE_GLOBALS:
        return torch.load(
            path, map_location, pickle_module=_AllowListPickle, weights_only=False
        )
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals([g for g in before if not _is_getattr(g)])
    allow_mmengine_checkpoints()
    # Called with a number it takes as much memory; no checkpoint has need of it.
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
    """Finds what the safe loader and our list allow, and nothing else."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._allowed = {**_get_allowed_globals(), **mmengine_globals()}
        self._allowed.pop(_BYTEARRAY, None)

    def find_class(self, module: str, name: str) -> Any:
        # Pickles that Python 2 could read name modules as Python 2 did.
        module, name = NAME_MAPPING.get((module, name), (module, name))
        module = IMPORT_MAPPING.get(module, module)
        try:
            return self._allowed[f'{module}.{name}']
        except KeyError:
            raise pickle.UnpicklingError(
                f'GLOBAL {module}.{name} was not an allowed global'
            ) from None


class _AllowListPickle:
    """Stands for the module ``pickle`` in ``torch.load``."""

    Unpickler = _AllowListUnpickler

    @staticmethod
    def load(file: IO[bytes], **kwargs: Any) -> Any:
        return _AllowListUnpickler(file, **kwargs).load()


def guard_mmengine_loaders() -> None:
    """Let MMEngine load checkpoints as :func:`load_tensors` does, files and URLs.

    With it ``load_from``, ``--resume``, ``init_cfg`` of type ``Pretrained`` and
    ``mmseg.apis.init_model`` refuse a file that could run code. MMEngine 0.10.7 leaves
    that to torch, which refuses it since 2.6; its continuation unpickles everything
    when the safe load fails. Weights from an address are checked against the hash
    that their name holds. Weights are checked, see :func:`check_weights`. Can be
    called again.
    """
    from mmengine.runner import checkpoint

    checkpoint.CheckpointLoader.register_scheme('', load_from_local, force=True)
    # All of MMEngine's names of published weights come down to this function.
    checkpoint.load_url = load_url
    # And every loading of weights into a model to this one.
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
        filename: The file; ``~`` is the user's folder.
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
        url: Address. The content of ``NAME-<first digits of its SHA-256>.pth``, the
            usual name of published weights, is checked.
        model_dir: Folder to keep it in; None takes torch's.
        map_location: As for ``torch.load``.
        progress: Whether to show a bar.

    Raises:
        CheckpointError: It holds more than plain data, or not what its name says.
        OSError: It could not be downloaded.
    """
    folder = Path(model_dir or Path(torch.hub.get_dir()) / 'checkpoints')
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PurePosixPath(urlparse(url).path).name
    if not path.is_file():
        hashed = _HASH_IN_NAME.search(path.name)
        try:
            # Under its final name only once it is whole and checked.
            torch.hub.download_url_to_file(
                url, str(path), hashed and hashed[1], progress
            )
        except RuntimeError as error:
            raise CheckpointError(f'{url} was not kept: {error}.') from error
    content = load_tensors(path, map_location)
    check_parts(content, path)
    return content
