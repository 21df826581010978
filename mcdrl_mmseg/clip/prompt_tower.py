"""What learned prompts ask of a text side, and which text sides can do it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

from .clip_prompt_tower import CLIPPromptTower
from .sentence_prompt_tower import SentencePromptTower
from .sentence_text import has_sentence_text
from .towers import CLIPSpec


class PromptTower(Protocol):
    """A text side that reads vectors in the place of word pieces.

    Args:
        module: What holds the weights, with ``width`` of its token vectors,
            ``output_dim`` of the joint space and ``context_length`` in tokens.
    """

    module: nn.Module

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids (n, length), and the place of each text's last token (n,)."""

    def vectors(self, ids: Tensor) -> Tensor:
        """Vectors (..., width) of tokens, without positions."""

    def embed(self, tokens: Tensor, ends: Tensor) -> Tensor:
        """Text embeddings (n, d), not normalised, of token vectors (n, length, width).

        What stands behind a text's last token changes nothing.
        """

    def load_weights(self) -> None:
        """Fill the module with the weights that the model's spec names."""


def build_prompt_tower(spec: CLIPSpec) -> PromptTower:
    """The text side of a model, with random weights.

    Args:
        spec: The model.

    Raises:
        ValueError: A text side whose prompts cannot be learned.
    """
    if has_sentence_text(spec.model_name):
        return SentencePromptTower(spec)
    return CLIPPromptTower(spec)
