"""Text towers and tokenizers of Hugging Face's transformers (extra ``[hf]``).

Only transformers' own code is used; code of a model's repository is never run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from mcdrl_common.json_files import read_json

from .model_source import ModelSourceError, hub_file, local_folder

_TOKENIZER_OPTIONS = ('clean', 'strip_sep_token', 'language')
_TOKENIZER_FILES = (
    'added_tokens.json',
    'merges.txt',
    'special_tokens_map.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'vocab.*',
    '*.model',
)
"""Patterns of the files from which transformers builds a tokenizer."""


def _check_installed(model_name: str) -> None:
    try:
        import transformers  # noqa: F401
    except ImportError as error:
        raise ModelSourceError(
            f'The text tower of model_name={model_name!r} needs transformers: pip '
            "install 'mcdrl-mmseg[hf]'."
        ) from error


def build_hf_text_tower(
    model_name: str, embed_dim: int, text_cfg: Mapping[str, Any]
) -> nn.Module:
    """Build open_clip's ``HFTextEncoder`` with random weights.

    Args:
        model_name: Name of the whole model.
        embed_dim: d, width of the joint space.
        text_cfg: open_clip's, with ``hf_model_name``: a subfolder of the model's
            folder, any folder, or a repository of the Hub. Only its ``config.json`` is
            read.

    Returns:
        Token ids (n, length) -> (n, d).

    Raises:
        ModelSourceError: transformers is not installed, the config is not available, or
            the tower needs code of its own repository.
    """
    _check_installed(model_name)
    from open_clip.hf_model import HFTextEncoder

    path = _text_config(model_name, text_cfg['hf_model_name'])
    content = read_json(path)
    if 'auto_map' in content:
        raise ModelSourceError(
            f'{path}: this text tower needs code from its repository (auto_map), which '
            'is not run. Use another model.'
        )
    tower = HFTextEncoder(
        str(path.parent),
        output_dim=embed_dim,
        pooler_type=text_cfg.get('hf_pooler_type', 'mean_pooler'),
        proj_type=text_cfg.get('hf_proj_type', 'mlp'),
        pretrained=False,
    )
    # transformers builds the tower in the precision that the config names.
    return tower.float()


def text_files(model_name: str, text_cfg: Mapping[str, Any]) -> list[Path]:
    """Files of a ``local-dir:`` model that change its text embeddings.

    Args:
        model_name: Name of the whole model.
        text_cfg: open_clip's.

    Returns:
        Config of its text tower and files of its tokenizer, in a fixed order, without
        the weights.
    """
    folder = local_folder(model_name)
    if folder is None:
        return []
    files = []
    if text_cfg.get('hf_model_name'):
        config = folder / text_cfg['hf_model_name'] / 'config.json'
        files += [config] if config.is_file() else []
    if text_cfg.get('hf_tokenizer_name'):
        for pattern in _TOKENIZER_FILES:
            files += sorted(folder.glob(pattern))
    return files


def _text_config(model_name: str, text_name: str) -> Path:
    folder = local_folder(model_name)
    places = [Path(text_name).expanduser()]
    if folder is not None:
        places.insert(0, folder / text_name)
    for place in places:
        if (place / 'config.json').is_file():
            return place / 'config.json'
    path = hub_file(text_name, 'config.json')
    if path is None:
        raise ModelSourceError(
            f'text_cfg.hf_model_name={text_name!r} of {model_name} has no config.json.'
        )
    return path


def build_hf_tokenizer(
    model_name: str, text_cfg: Mapping[str, Any], length: int, may_fetch: bool
) -> Any:
    """open_clip's ``HFTokenizer``: texts -> (n, length) ids.

    Args:
        model_name: Name of the whole model. For ``local-dir:`` the tokenizer is read
            from this folder.
        text_cfg: open_clip's, with ``hf_tokenizer_name``.
        length: Tokens of a text.
        may_fetch: Whether a tokenizer that is not in the Hub's cache may be fetched.

    Raises:
        ModelSourceError: transformers is not installed, the tokenizer is not available,
            or the config sets options that are not known to be harmless.
    """
    _check_installed(model_name)
    from open_clip.tokenizer import HFTokenizer

    options = tokenizer_options(model_name, text_cfg, _TOKENIZER_OPTIONS)
    folder = local_folder(model_name)
    place = str(folder) if folder else text_cfg['hf_tokenizer_name']
    error: Exception | None = None
    for cached_only in (True, False) if may_fetch and not folder else (True,):
        try:
            return HFTokenizer(
                place,
                context_length=length,
                tokenizer_mode=text_cfg.get('tokenizer_mode'),
                trust_remote_code=False,
                local_files_only=cached_only,
                **options,
            )
        except Exception as reason:
            error = reason
    raise ModelSourceError(
        f'The tokenizer {place!r} of model_name={model_name!r} was not found'
        f'{" and could not be downloaded" if may_fetch and not folder else ""} '
        f'({error}). Download it on a machine with network access: to the '
        "cache of Hugging Face, or to the folder that 'local-dir:' names."
    ) from error


def tokenizer_options(
    model_name: str, text_cfg: Mapping[str, Any], allowed: tuple[str, ...]
) -> dict[str, Any]:
    """``text_cfg.tokenizer_kwargs``, which may come from an untrusted source.

    Raises:
        ModelSourceError: One is not among those that are allowed.
    """
    options = dict(text_cfg.get('tokenizer_kwargs') or {})
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        raise ModelSourceError(
            f'text_cfg.tokenizer_kwargs of model_name={model_name!r} holds {unknown}; '
            f'only {list(allowed)} are passed to a tokenizer.'
        )
    return options
