"""Text embeddings: one batched pass of the text tower, which is then freed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mcdrl_common import InputError

from .hf_text import build_hf_tokenizer, tokenizer_options
from .model_config import context_length, get_model_config
from .sentence_text import embed_with_sentences, has_sentence_text
from .towers import CLIPSpec, build_text_tower, load_tower_weights

if TYPE_CHECKING:
    from open_clip.tokenizer import SimpleTokenizer

# Without weights, as in demonstrations and tests, the text tower is random. Its seed is
# fixed, so that embeddings are the same on every rank and restart.
_RANDOM_TOWER_SEED = 0
_EOS_ID = 2  # open_clip's default
_SIMPLE_OPTIONS = ('clean', 'reduction_mask', 'additional_special_tokens')


class LongPromptError(InputError, ValueError):
    """A prompt of more tokens than the text tower reads; the message names it."""


def tokenize(spec: CLIPSpec, texts: Sequence[str], may_cut: bool = True) -> Tensor:
    """Turn texts into token ids.

    Args:
        spec: The model whose tokenizer and context length are used.
        texts: n texts.
        may_cut: Whether texts that are longer than the context length are cut.

    Returns:
        (n, length) int64, cut or padded to the context length.

    Raises:
        ModelSourceError: See :func:`mcdrl_mmseg.clip.hf_text.build_hf_tokenizer`.
        ValueError: The text tower would pool a text before its end, at an added token
            or at the token that ``text_cfg.eos_id`` names.
        LongPromptError: A text is too long and must not be cut.
    """
    from open_clip.tokenizer import SimpleTokenizer

    config = get_model_config(spec.model_name)['text_cfg']
    length = context_length(config)
    if config.get('hf_tokenizer_name'):
        # With random weights nothing is downloaded.
        may_fetch = spec.weights is not None
        tokenizer = build_hf_tokenizer(spec.model_name, config, length, may_fetch)
        tokens = tokenizer(list(texts), context_length=length)
        pad = tokenizer.tokenizer.pad_token_id
        _check_named_end(spec.model_name, config, texts, tokens, pad)
        if not may_cut:
            longer = tokenizer(list(texts), context_length=length + 1)
            _check_whole(spec.model_name, texts, tokens, longer, pad)
        return tokens
    options = tokenizer_options(spec.model_name, config, _SIMPLE_OPTIONS)
    simple = SimpleTokenizer(context_length=length, **options)
    tokens = simple(list(texts), context_length=length)
    _check_places(spec.model_name, config, simple, texts, tokens)
    _check_named_end(spec.model_name, config, texts, tokens, pad=0)
    if not may_cut:
        longer = simple(list(texts), context_length=length + 1)
        _check_whole(spec.model_name, texts, tokens, longer, pad=0)
    return tokens


def _check_whole(
    model_name: str, texts: Sequence[str], tokens: Tensor, longer: Tensor, pad: int
) -> None:
    """Refuse texts that have more tokens where there is room for one more."""
    counts = zip(texts, (tokens != pad).sum(dim=1), (longer != pad).sum(dim=1))
    for text, count, wanted in counts:
        if wanted > count:
            raise LongPromptError(
                f'The prompt {text!r} is longer than the {tokens.shape[1]} tokens that '
                f'the text tower of model_name={model_name!r} reads (start and end '
                'token included); its end would have no influence. Shorten it.'
            )


def _check_named_end(
    model_name: str,
    text_cfg: Mapping[str, Any],
    texts: Sequence[str],
    tokens: Tensor,
    pad: int | None,
) -> None:
    # If a text lacks the named token, open_clip pools its first token. With causal
    # attention that token is the same for all texts.
    if (
        text_cfg.get('pool_type') != 'eos'
        or text_cfg.get('embed_cls')
        or text_cfg.get('no_causal_mask')
        or text_cfg.get('hf_model_name')
    ):
        return
    named = text_cfg.get('eos_id', _EOS_ID)
    for text, row in zip(texts, tokens.tolist()):
        last = max((n for n, token in enumerate(row) if token != pad), default=0)
        # Some tokenizers put a language token after the end token.
        if named not in row or row.index(named) < last - 1:
            raise ValueError(
                f'model_name={model_name!r}: its text tower reads a prompt at the '
                f'token text_cfg.eos_id={named}, but its tokenizer does not put it at '
                f'the end of {text!r}, where the last token is {row[last]}. Words '
                'after the token have no influence. Without it, all prompts have the '
                'same embedding. Set text_cfg.eos_id in its open_clip_config.json to '
                'the end token that the model was trained with.'
            )


def _check_places(
    model_name: str,
    text_cfg: Mapping[str, Any],
    tokenizer: SimpleTokenizer,
    texts: Sequence[str],
    tokens: Tensor,
) -> None:
    # open_clip's tower pools a text at its highest token id. An added token has a
    # higher id than the end token; as attention is causal, later words would have no
    # influence.
    if text_cfg.get('embed_cls') or text_cfg.get('pool_type', 'argmax') != 'argmax':
        return
    places = tokens.argmax(dim=1).tolist()
    ends = (tokens == tokenizer.eot_token_id).int().argmax(dim=1).tolist()
    for text, row, place, end in zip(texts, tokens.tolist(), places, ends):
        if place < end - 1:
            added = tokenizer.decoder[row[place]]
            raise ValueError(
                f'The prompt {text!r} has words after {added!r}, a token that '
                f'model_name={model_name!r} added to its tokenizer. Its text tower '
                'reads a prompt at this token and not at the end token, so these words '
                'have no influence. Put the token last in the prompt. If the model was '
                "trained to read prompts at the end token, set text_cfg.pool_type='eos'"
                f' and text_cfg.eos_id={tokenizer.eot_token_id} in its '
                'open_clip_config.json instead.'
            )


@torch.no_grad()
def embed_texts(spec: CLIPSpec, texts: Sequence[str]) -> Tensor:
    """Embed texts with a CLIP text tower.

    The tower is built, run once over all texts, and freed on return.

    Args:
        spec: The model; without weights a random tower with a fixed seed.
        texts: n texts.

    Returns:
        (n, d) float32 on the CPU, L2-normalised.

    Raises:
        CLIPWeightsError: See :func:`mcdrl_mmseg.clip.towers.load_tower_weights` and,
            for sentence vectors, :func:`embed_with_sentences`.
        LongPromptError: A text is too long; see :func:`tokenize`.
    """
    if has_sentence_text(spec.model_name):
        return embed_with_sentences(spec, texts)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_RANDOM_TOWER_SEED)
        tower = build_text_tower(spec)
    if spec.weights is not None:
        load_tower_weights(tower, spec, 'text.')
    tower.eval()
    return F.normalize(tower(tokenize(spec, texts, may_cut=False)).float(), dim=-1)
