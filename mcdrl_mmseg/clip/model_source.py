"""Models named by their location: ``hf-hub:ORG/NAME`` or ``local-dir:/PATH``.

Such a name stands for architecture, weights, tokenizer and normalisation, as in
open_clip. A folder has the layout of open_clip (``open_clip_config.json``) or of
transformers' ``CLIPModel`` (``config.json``). Only JSON and tensors are read; code in a
folder is never run. A file of the Hub is downloaded once and then read from the Hub's
cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mcdrl_common import InputError
from mcdrl_common.json_files import read_json

from .transformers_format import open_clip_config

HUB, FOLDER = 'hf-hub:', 'local-dir:'

_CONFIG = 'open_clip_config.json'
_REQUIRED = ('embed_dim', 'vision_cfg', 'text_cfg')
_WEIGHTS = (
    'open_clip_model.safetensors',
    'open_clip_pytorch_model.safetensors',
    'open_clip_pytorch_model.bin',
    'open_clip_pytorch_model.pth',
    'model.safetensors',
    'pytorch_model.bin',
    'pytorch_model.pth',
    'model.pth',
)
"""File names of weights: open_clip's first, and safetensors before pickles."""


class ModelSourceError(InputError, ValueError):
    """A location without a usable model; the message says what was found there."""


class SourceConfig(NamedTuple):
    """Architecture and preprocessing as a model's location describes them.

    Attributes:
        model: open_clip's ``model_cfg``.
        preprocess: open_clip's ``preprocess_cfg``, may be empty.
    """

    model: dict[str, Any]
    preprocess: dict[str, Any]


def has_source(model_name: str) -> bool:
    """Whether a name is a location and not an architecture."""
    return model_name.startswith((HUB, FOLDER))


def local_folder(model_name: str) -> Path | None:
    """Folder of a ``local-dir:`` name; None for any other name.

    Raises:
        ModelSourceError: There is no such folder.
    """
    if not model_name.startswith(FOLDER):
        return None
    folder = Path(model_name.removeprefix(FOLDER)).expanduser()
    if not folder.is_dir():
        raise ModelSourceError(f'model_name={model_name!r}: {folder} is not a folder.')
    return folder


def source_file(model_name: str, name: str) -> Path | None:
    """A file at a model's location.

    Args:
        model_name: Name with a scheme.
        name: Name of the file.

    Returns:
        Its path, or None if there is no such file.

    Raises:
        ModelSourceError: No such folder, or the Hub cannot be reached.
    """
    folder = local_folder(model_name)
    if folder is not None:
        path = folder / name
        return path if path.is_file() else None
    return hub_file(model_name.removeprefix(HUB), name)


def hub_file(repository: str, name: str) -> Path | None:
    """A file of the Hugging Face Hub, from its cache or downloaded.

    Args:
        repository: ``ORG/NAME``.
        name: Name of the file.

    Returns:
        Its path, or None if the repository has no such file.

    Raises:
        ModelSourceError: It is not in the cache and cannot be downloaded.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        cached = try_to_load_from_cache(repository, name)
        if isinstance(cached, str):
            return Path(cached)
        return Path(hf_hub_download(repository, name))
    except Exception as error:
        absent = isinstance(error, EntryNotFoundError)
        if absent and not isinstance(error, LocalEntryNotFoundError):
            return None
        raise ModelSourceError(
            f'{name} of {repository} is not in the cache of the Hugging Face Hub and '
            f'could not be downloaded ({error}). Download the repository on a machine '
            "with network access and name its folder: 'local-dir:/PATH'."
        ) from error


def read_source(model_name: str) -> SourceConfig:
    """Read architecture and preprocessing from a model's location.

    Args:
        model_name: Name with a scheme.

    Raises:
        ModelSourceError: There is no such description, or it is broken.
    """
    path = source_file(model_name, _CONFIG)
    if path is not None:
        content = _read_json(path)
        model = content.get('model_cfg', content)
        if not isinstance(model, dict) or any(key not in model for key in _REQUIRED):
            raise ModelSourceError(
                f'{path} does not describe a CLIP: expected {", ".join(_REQUIRED)} in '
                'it or in its model_cfg.'
            )
        return SourceConfig(model, content.get('preprocess_cfg') or {})
    path = source_file(model_name, 'config.json')
    content = {} if path is None else _read_json(path)
    if content.get('model_type') == 'clip':
        try:
            model = open_clip_config(content)
        except ValueError as error:
            raise ModelSourceError(f'{path}: {error}') from None
        return SourceConfig(model, _image_processor(model_name))
    held = f'a config.json of {content.get("model_type")!r}' if path else 'neither'
    raise ModelSourceError(
        f'model_name={model_name!r}: expected {_CONFIG}, or the config.json of a '
        f"transformers CLIPModel (model_type 'clip'), found {held}."
    )


def _image_processor(model_name: str) -> dict[str, Any]:
    path = source_file(model_name, 'preprocessor_config.json')
    content: Mapping[str, Any] = {} if path is None else _read_json(path)
    if content.get('do_normalize') is False:
        return dict(mean=[0.0] * 3, std=[1.0] * 3)
    names = {'mean': 'image_mean', 'std': 'image_std'}
    return {ours: content[name] for ours, name in names.items() if name in content}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise ModelSourceError(f'{path} cannot be read as JSON: {error}') from error
    if not isinstance(content, dict):
        raise ModelSourceError(f'{path} is not a JSON object.')
    return content


def source_weights(model_name: str) -> Path:
    """Weights at a model's location.

    Args:
        model_name: Name with a scheme.

    Raises:
        ModelSourceError: There are none.
    """
    for name in _WEIGHTS:
        path = source_file(model_name, name)
        if path is not None:
            return path
    raise ModelSourceError(
        f'model_name={model_name!r} holds no weights: expected one of the files '
        f'{", ".join(_WEIGHTS)}.'
    )
