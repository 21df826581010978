"""CLIP weights from all usual file formats, as a state dict of one layout."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from torch import Tensor

from mcdrl_common import InputError
from mcdrl_mmseg.safe_loading import UnsafeCheckpointError, load_tensors

from .builtin import BUILTIN, builtin_models, builtin_weights, unpack
from .downloads import fetch_published
from .model_source import ModelSourceError, has_source, source_weights
from .torchscript import is_torchscript, torchscript_state_dict
from .transformers_format import convert_clip_model, is_transformers_clip

_SHA256_MARK = '#sha256='
_SHA256 = re.compile('[0-9a-f]{64}')
_CHUNK_BYTES = 1 << 20


class CLIPWeightsError(InputError, RuntimeError):
    """Weights that cannot be read or do not fit; the message names the file."""


def is_tag(pretrained: str, model_name: str) -> bool:
    """Whether ``pretrained`` names weights in open_clip's table for the model."""
    from open_clip.pretrained import is_pretrained_cfg

    return is_pretrained_cfg(model_name.replace('/', '-'), pretrained)


def tag_uses_quick_gelu(pretrained: str, model_name: str) -> bool:
    """Whether the published weights of a tag were trained with QuickGELU."""
    from open_clip.pretrained import get_pretrained_cfg

    cfg = get_pretrained_cfg(model_name.replace('/', '-'), pretrained)
    return bool(cfg.get('quick_gelu', False))


def has_quick_gelu_weights(model_name: str) -> bool:
    """Whether some published weights of the model were trained with QuickGELU."""
    from open_clip import list_pretrained_tags_by_model

    tags = list_pretrained_tags_by_model(model_name.replace('/', '-'))
    return any(tag_uses_quick_gelu(tag, model_name) for tag in tags)


def names_a_file(pretrained: str | None, model_name: str) -> bool:
    """Whether ``pretrained`` is a local file, whose origin is not known."""
    return not (
        pretrained in (None, BUILTIN)
        or has_source(pretrained)
        or is_tag(pretrained, model_name)
    )


def local_file(pretrained: str) -> Path:
    """Path of a local file, without the SHA-256 that the config requires.

    Args:
        pretrained: ``FILE`` or ``FILE#sha256=DIGITS``.
    """
    return Path(pretrained.partition(_SHA256_MARK)[0]).expanduser()


def resolve_weights_file(pretrained: str, model_name: str) -> Path:
    """Find the file behind ``pretrained``.

    Args:
        pretrained: ``'builtin'`` for the weights inside the package, a location as in
            :mod:`mcdrl_mmseg.clip.model_source`, an open_clip tag
            (open_clip downloads its file unless it is in open_clip's cache), or the
            path of a local file. If a file has the name of a tag, write its folder
            too, as ``./openai``. ``FILE#sha256=DIGITS`` also checks the content.
        model_name: open_clip's architecture name.

    Returns:
        Path of an existing local file.

    Raises:
        CLIPWeightsError: Neither a tag of this model nor an existing file, no
            built-in weights of this model, the tag's file is not available, or a file
            has another SHA-256 than required or published.
    """
    if pretrained == BUILTIN:
        path = builtin_weights(model_name)
        if path.is_file():
            return path
        raise CLIPWeightsError(
            f'pretrained={BUILTIN!r}: {model_name} has no built-in weights. Models '
            f'that have them: {builtin_models()}.'
        )
    if has_source(pretrained):
        try:
            path = source_weights(pretrained)
        except ModelSourceError as error:
            raise CLIPWeightsError(str(error)) from error
        _check_published(path)
        return path
    if is_tag(pretrained, model_name):
        return _weights_of_tag(pretrained, model_name)
    return _checked_local_file(pretrained, model_name)


def _checked_local_file(pretrained: str, model_name: str) -> Path:
    """A local file, checked against the SHA-256 that the config requires."""
    path = local_file(pretrained)
    if path.is_file():
        _, mark, sha256 = pretrained.partition(_SHA256_MARK)
        if mark:
            _check_sha256(path, sha256.lower(), 'the config requires')
        return path
    from open_clip import list_pretrained_tags_by_model

    tags = list_pretrained_tags_by_model(model_name.replace('/', '-'))
    raise CLIPWeightsError(
        f'pretrained={pretrained!r} is neither an existing file nor a tag of '
        f'{model_name}. Tags of this model: {tags or "none"}.'
    )


def _weights_of_tag(pretrained: str, model_name: str) -> Path:
    """The file of one of open_clip's tags, from its cache or downloaded."""
    from open_clip.pretrained import get_pretrained_cfg

    cfg = get_pretrained_cfg(model_name.replace('/', '-'), pretrained)
    try:
        path = fetch_published(cfg)
    except Exception as error:
        raise CLIPWeightsError(
            f'The weights pretrained={pretrained!r} of {model_name} are not in '
            f"open_clip's cache and could not be downloaded ({error}). Download "
            'them on a machine with network access and set `pretrained` to the file, '
            'for example --cfg-options model.backbone.pretrained=/path/FILE.'
        ) from error
    # open_clip checks its own downloads. Files in the cache of the Hugging Face Hub are
    # links to files named by their hash, which open_clip does not check.
    _check_published(path)
    return path


def _check_published(path: Path) -> None:
    """Check a file of the Hub's cache, a link to a file that is named by its hash."""
    if _SHA256.fullmatch(path.resolve().name):
        _check_sha256(path, path.resolve().name, 'it was published with')


def _check_sha256(path: Path, expected: str, source: str) -> None:
    found = weights_digest(path)
    if found != expected:
        raise CLIPWeightsError(
            f'{path} has SHA-256 {found}, but {source} {expected}. It is another file, '
            'or damaged: download it again.'
        )


def _read_tensors(path: Path) -> dict:
    if path.suffix == '.safetensors':
        from safetensors.torch import load_file

        return load_file(path)
    if is_torchscript(path):
        return torchscript_state_dict(path)
    return load_tensors(path)


def _unwrapped(content: Any) -> Any:
    """The state dict inside a training checkpoint or a packed file."""
    if isinstance(content, dict) and isinstance(content.get('state_dict'), dict):
        content = content['state_dict']
    return unpack(content) if isinstance(content, dict) else content


def load_clip_state_dict(path: Path) -> dict[str, Tensor]:
    """Read the weights of both towers.

    Reads safetensors, OpenAI's TorchScript archives, open_clip's training
    checkpoints, plain state dicts and those of transformers' ``CLIPModel``. No object
    is unpickled and no program is run.

    Args:
        path: The file.

    Returns:
        Tensors on the CPU in the precision of the file, in open_clip's layout of
        separate towers: ``visual.*``, ``text.*``, ``logit_scale``. Copying them into a
        tower converts them, which needs no second copy.

    Raises:
        CLIPWeightsError: The file is damaged, holds objects other than tensors, or
            holds no CLIP image tower.
    """
    from open_clip.model import convert_to_custom_text_state_dict

    state = _whole_tensors(path, _read_content(path))
    # OpenAI's archives also hold sizes.
    for key in ('input_resolution', 'context_length', 'vocab_size'):
        state.pop(key, None)
    if is_transformers_clip(state):
        state = convert_clip_model(state)
    if not any(key.startswith('visual.') for key in state):
        raise CLIPWeightsError(
            f'{path} holds no CLIP image tower: expected keys "visual.*", found '
            f'{sorted(state)[:3] or "no tensors"}. Use a complete open_clip or '
            'OpenAI checkpoint.'
        )
    # Convert to the layout of separate towers.
    if 'text_projection' in state:
        state = convert_to_custom_text_state_dict(state)
    return state


def _read_content(path: Path) -> Any:
    """Content of the file; an error says why it cannot be read."""
    try:
        return _unwrapped(_read_tensors(path))
    except UnsafeCheckpointError as error:
        if error.held is None:
            raise CLIPWeightsError(
                f'{path} is not a safetensors file, a TorchScript archive or a state '
                'dict. It may be damaged, or be a web page or a Git LFS pointer '
                'instead of the weights.'
            ) from None
        raise CLIPWeightsError(
            f'{path} was refused: it holds more than tensors ({error.held}). '
            'Unpickling such a file can run code. Save its state dict as safetensors '
            'and name that file.'
        ) from None
    except Exception as error:
        raise CLIPWeightsError(
            f'{path} could not be read as CLIP weights (safetensors, TorchScript '
            f'archive or state dict). It may be damaged: {error}'
        ) from error


def _whole_tensors(path: Path, content: Any) -> dict[str, Tensor]:
    """The tensors of a state dict, without the prefix of a distributed wrapper."""
    # No conversion of precision here: it happens when weights are copied into a tower.
    state = {
        key.removeprefix('module.'): value
        for key, value in (content.items() if isinstance(content, dict) else ())
        if isinstance(value, Tensor)
    }
    for key, value in state.items():
        # With strides of 0 a few bytes could expand to a tensor of any size.
        if value.nbytes > value.untyped_storage().nbytes():
            raise CLIPWeightsError(
                f'{path}: {key} has shape {tuple(value.shape)}, but the file holds '
                'only a part of it. Save its state dict with contiguous tensors.'
            )
    return state


def weights_digest(path: Path) -> str:
    """Identify a weights file by its content, independent of its path.

    Args:
        path: The file.

    Returns:
        SHA-256 of all its bytes, as hex digits. A part would not do: fine-tuning often
        changes few tensors.
    """
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
