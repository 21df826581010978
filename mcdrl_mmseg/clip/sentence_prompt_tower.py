"""The frozen sentence encoder and a model's projection, on token vectors.

:mod:`mcdrl_mmseg.clip.sentence_text` needs the encoder only for unknown texts. Here the
encoder runs in every step, since its input is learned.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from .model_config import get_model_config
from .sentence_encoder import EMBED_DIMS, SentenceEncoder, read_encoder_state
from .sentence_text import read_text_side
from .towers import CLIPSpec
from .weights import resolve_weights_file
from .word_pieces import MAX_TOKENS, published_pieces


class SentenceTower(nn.Module):
    """Sentence encoder and projection; random weights until a state is loaded.

    As with a CLIP text tower, a model's checkpoint holds all 23 M weights (91 MB). A
    checkpoint alone can then predict, also with other class names, without the
    encoder's package.

    Args:
        output_dim: d, width of the joint space.
    """

    context_length, width = MAX_TOKENS, EMBED_DIMS

    def __init__(self, output_dim: int) -> None:
        super().__init__()
        self.output_dim = output_dim
        self.encoder = SentenceEncoder(len(published_pieces()))
        self.proj = nn.Linear(EMBED_DIMS, output_dim, bias=False)


class SentencePromptTower:
    """See :class:`mcdrl_mmseg.clip.prompt_tower.PromptTower`.

    Args:
        spec: A model whose text tower is the sentence encoder.
    """

    def __init__(self, spec: CLIPSpec) -> None:
        self.spec = spec
        self.module = SentenceTower(get_model_config(spec.model_name)['embed_dim'])

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids, padded with zeros, and the position of the end token."""
        pieces = [published_pieces().encode(text) for text in texts]
        ids = pad_sequence([torch.tensor(one) for one in pieces], batch_first=True)
        return ids, torch.tensor([len(one) - 1 for one in pieces])

    def vectors(self, ids: Tensor) -> Tensor:
        """Rows of the encoder's table."""
        return self.module.encoder.words(ids)

    def embed(self, tokens: Tensor, ends: Tensor) -> Tensor:
        """Mean over a text's tokens, normalised, then the projection."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        sentences = self.module.encoder.embed(tokens, places <= ends[:, None])
        return self.module.proj(sentences)

    def load_weights(self) -> None:
        """Load the encoder from its package, the projection from the model's file.

        Raises:
            SentenceEncoderError: The encoder's package is not installed.
            CLIPWeightsError: No such file, or it has no projection.
        """
        assert self.spec.weights is not None
        path = resolve_weights_file(self.spec.weights, self.spec.model_name)
        projection, _ = read_text_side(path)
        self.module.proj.load_state_dict({'weight': projection})
        self.module.encoder.load_state_dict(read_encoder_state())
