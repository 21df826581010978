"""The interface of a text tower for learned prompts, and its implementations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

from .clip_prompt_tower import CLIPPromptTower
from .sentence_prompt_tower import SentencePromptTower
from .sentence_text import has_sentence_text
from .towers import CLIPSpec


class PromptTower(Protocol):
    """A text tower that accepts token vectors in place of token ids.

    Args:
        module: The module with the weights. Its attributes are ``width`` of the token
            vectors, ``output_dim`` of the joint space and ``context_length`` in tokens.
    """

    module: nn.Module

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids (n, length), and the position of each text's last token (n,)."""

    def vectors(self, ids: Tensor) -> Tensor:
        """Vectors (..., width) of tokens, without positions."""

    def embed(self, tokens: Tensor, ends: Tensor) -> Tensor:
        """Text embeddings (n, d), not normalised, of token vectors (n, length, width).

        Vectors after a text's last token have no influence.
        """

    def load_weights(self) -> None:
        """Fill the module with the weights that the model's spec names."""


def build_prompt_tower(spec: CLIPSpec) -> PromptTower:
    """The text tower of a model, with random weights.

    Args:
        spec: The model.

    Raises:
        ValueError: Prompts cannot be learned for this text tower.
    """
    if has_sentence_text(spec.model_name):
        return SentencePromptTower(spec)
    return CLIPPromptTower(spec)
