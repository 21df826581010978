"""CLIP's causal text transformer on token vectors, pooled at the end token."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .model_config import get_model_config
from .text import tokenize
from .towers import CLIPSpec, build_text_tower, load_tower_weights


class CLIPPromptTower:
    """See :class:`mcdrl_mmseg.clip.prompt_tower.PromptTower`.

    Args:
        spec: The model.

    Raises:
        ValueError: Its text tower is not CLIP's.
    """

    def __init__(self, spec: CLIPSpec) -> None:
        self.spec = spec
        self.module = _build(spec)

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids, and the position of the end token.

        Raises:
            ValueError: A text holds a token that was added to the tokenizer.
        """
        *rows, empty = tokenize(self.spec, [*texts, ''])
        # Only tokens that were added to the tokenizer have ids above the end token's.
        for text, row in zip(texts, rows):
            if row.max() > empty.max():
                raise ValueError(
                    f'LearnedPrompts: {text!r} holds a token that model_name='
                    f'{self.spec.model_name!r} added to its tokenizer. Its text tower '
                    'takes this token for the end of the text. Leave the token out.'
                )
        ids = torch.stack(rows)
        return ids, ids.argmax(dim=1)

    def vectors(self, ids: Tensor) -> Tensor:
        """Rows of the token table."""
        return self.module.token_embedding(ids)

    def embed(self, tokens: Tensor, ends: Tensor) -> Tensor:
        """Run the transformer; attention is causal, so padding has no influence."""
        tower, length = self.module, tokens.shape[1]
        tokens = tower.transformer(
            tokens + tower.positional_embedding[:length],
            attn_mask=tower.attn_mask[:length, :length],
        )
        tokens = tower.ln_final(tokens)
        rows = torch.arange(len(tokens), device=tokens.device)
        return tokens[rows, ends] @ tower.text_projection

    def load_weights(self) -> None:
        """Load the weights of the text tower."""
        load_tower_weights(self.module, self.spec, 'text.')


def _build(spec: CLIPSpec) -> nn.Module:
    from open_clip.transformer import TextTransformer

    other = get_model_config(spec.model_name)['text_cfg'].get('hf_model_name')
    if other:
        raise ValueError(
            f'model_name={spec.model_name!r}: its text tower is {other}, not a text '
            'tower of open_clip. Prompts cannot be learned with it. Use a model '
            'with such a tower, for example mcdrl-tiny-rn or RN50.'
        )
    tower = build_text_tower(spec)
    if (
        isinstance(tower, TextTransformer)
        and tower.cls_emb is None
        and tower.attn_mask is not None
        and tower.pool_type == 'argmax'
        and isinstance(tower.text_projection, nn.Parameter)
    ):
        return tower
    raise ValueError(
        f'LearnedPrompts: the text tower of model_name={spec.model_name!r} is not '
        "CLIP's causal transformer, pooled at the end token. Use, for example, RN50, "
        'ViT-B-16 or ViT-L-14.'
    )
