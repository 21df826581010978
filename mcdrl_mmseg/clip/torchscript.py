"""Weights of a TorchScript archive, read without running its code."""

from __future__ import annotations

import io
import math
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mcdrl_common.whole_checkpoint import check_sizes

_CONSTANTS_FILE = '/constants.pkl'
# Lines of TorchScript's source of a class.
_CLASS = re.compile(r'^class (\w+)\(')
_REGISTERED = re.compile(r'^ +__(?:parameters|buffers)__ = \[(.*)\]')
# These functions turn a list into a typed list.
_LIST_BUILDERS = (
    'build_boollist',
    'build_doublelist',
    'build_intlist',
    'build_tensorlist',
    'restore_type_tag',
)
_SCRIPT_MODULE = '__torch__'
# OpenAI's largest archive holds less than 1 MB of code in all.
_MAX_CODE_BYTES = 16 * 1024**2


def is_torchscript(path: Path) -> bool:
    """Whether the file is a TorchScript archive, the format of OpenAI's weights."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith(_CONSTANTS_FILE) for name in archive.namelist())


def torchscript_state_dict(path: Path) -> dict[str, Tensor]:
    """Read the state dict that ``torch.jit.load(path).state_dict()`` gives.

    ``torch.jit.load`` runs code of the archive's modules while it restores them. Here
    no code is run: modules are read as their saved attributes, and the source of their
    classes says which of these are parameters and buffers.

    Args:
        path: The archive.

    Returns:
        Parameters and buffers by their name in the module, on the CPU.

    Raises:
        UnpicklingError: The archive names anything but its own modules and tensors.
        ValueError: The archive is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        check_sizes(archive, path)
        root = next(n for n in archive.namelist() if n.endswith(_CONSTANTS_FILE))
        root = root.removesuffix(_CONSTANTS_FILE)
        program = _Archive(archive, root).load()
    if not isinstance(program, _Module):
        raise ValueError('it holds no module')
    return dict(program.state())


class _Module:
    """Attributes of one module; subclasses stand for the archive's classes."""

    registered: frozenset[str] = frozenset()

    def __setstate__(self, state: Any) -> None:
        self.attributes = state if isinstance(state, dict) else {}

    def state(self, prefix: str = '') -> Iterator[tuple[str, Tensor]]:
        """Every parameter and buffer, with its name."""
        for name, value in self.attributes.items():
            if isinstance(value, _Module):
                yield from value.state(f'{prefix}{name}.')
            elif isinstance(value, Tensor) and name in self.registered:
                yield f'{prefix}{name}', value


class _Archive(pickle.Unpickler):
    """Unpickler of an archive's modules."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        self._archive = archive
        self._root = root
        self._storages: dict[str, Tensor] = {}
        self._classes: dict[str, dict[str, type]] = {}
        super().__init__(io.BytesIO(self._read('data.pkl')))

    def _read(self, name: str) -> bytes:
        info = self._archive.getinfo(f'{self._root}/{name}')
        # TorchScript compresses only code; other compressed parts may be zip bombs.
        if info.compress_type != zipfile.ZIP_STORED and not name.startswith('code/'):
            raise ValueError(f'{info.filename} is compressed')
        if name.startswith('code/') and info.file_size > _MAX_CODE_BYTES:
            raise ValueError(f'{info.filename} unpacks to {info.file_size} bytes')
        return self._archive.read(info)

    def find_class(self, module: str, name: str) -> Any:
        """Return a stand-in, or refuse; nothing is imported."""
        if module == _SCRIPT_MODULE or module.startswith(f'{_SCRIPT_MODULE}.'):
            return self._script_class(module, name)
        if (module, name) == ('torch._utils', '_rebuild_tensor_v2'):
            return _rebuild_tensor
        if module == 'torch' and name.endswith('Storage'):
            return getattr(torch, name).dtype
        if (module, name) == ('collections', 'OrderedDict'):
            return OrderedDict
        if module == 'torch.jit._pickle' and name in _LIST_BUILDERS:
            return _identity
        raise pickle.UnpicklingError(f'GLOBAL {module}.{name} was not allowed')

    def _script_class(self, module: str, name: str) -> type:
        if module not in self._classes:
            code = self._read(f'code/{module.replace(".", "/")}.py').decode()
            self._classes[module] = _printed_classes(code)
        return self._classes[module].get(name, _Module)

    def persistent_load(self, pid: Any) -> Tensor:
        """Read a storage: ``('storage', dtype, file, device, count)``."""
        _, dtype, key, _, count = pid
        if key not in self._storages:
            content = bytearray(self._read(f'data/{key}'))
            if len(content) != count * dtype.itemsize:
                raise ValueError(f'data/{key} is truncated')
            # torch.frombuffer refuses an empty buffer.
            self._storages[key] = (
                torch.frombuffer(content, dtype=dtype)
                if content
                else torch.empty(0, dtype=dtype)
            )
        return self._storages[key]


def _printed_classes(code: str) -> dict[str, type[_Module]]:
    classes: dict[str, type[_Module]] = {}
    name, registered = '', frozenset[str]()
    for line in code.splitlines():
        if found := _CLASS.match(line):
            name, registered = found[1], frozenset()
            classes[name] = type(name, (_Module,), {})
        elif name and (found := _REGISTERED.match(line)):
            registered |= set(re.findall(r'"([^"]+)"', found[1]))
            classes[name].registered = registered
    return classes


def _rebuild_tensor(
    storage: Tensor, offset: int, size: tuple, stride: tuple, *_: object
) -> Tensor:
    # With a stride of 0 a few bytes could expand to a tensor of any size.
    if math.prod(size) > len(storage):
        raise ValueError(f'a tensor of shape {tuple(size)} has {len(storage)} numbers')
    return storage.as_strided(size, stride, offset)


def _identity(data: Any, *_: object) -> Any:
    return data
