"""A runner as far as the hooks look at it, around a small model."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
import torch
from mmengine.runner import EpochBasedTrainLoop
from torch import nn

from mcdrl_mmseg.clip import CLIPSpec
from mcdrl_mmseg.models import ConfounderDictionary

PROMPTS = dict(
    classes=['polyp', 'cyst'],
    confounders={'light': ['glare', 'dark'], 'view': ['blur']},
    background_prompts=['Normal mucosa'],
)


class Backbone(nn.Module):
    """Stands for CLIPVisionBackbone: the hooks ask for its spec alone."""

    clip_spec = CLIPSpec('mcdrl-tiny-rn')


class Model(nn.Module):
    def __init__(self, **dictionary) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.data_preprocessor = nn.Identity()
        self.dictionary = ConfounderDictionary(
            **{'prompts': PROMPTS, 'embed_dims': 128, **dictionary}
        )


@pytest.fixture
def prompts() -> dict:
    return PROMPTS


@pytest.fixture
def make_runner():
    """Makes a runner; ``iteration`` above 0 is one that was resumed."""

    def make(model=None, iteration=0, loop=EpochBasedTrainLoop, **dictionary):
        return SimpleNamespace(
            model=Model(**dictionary) if model is None else model,
            iter=iteration,
            logger=MagicMock(),
            message_hub=MagicMock(),
            train_loop=MagicMock(spec=loop),
            train_dataloader=MagicMock(__len__=lambda self: 4),
        )

    return make


@pytest.fixture
def text_passes(monkeypatch) -> list:
    """Grows by the number of texts at every pass of a text tower."""
    from open_clip.transformer import TextTransformer

    torch.set_num_threads(1)
    passes = []
    forward = TextTransformer.forward

    def counted(self, text, *args, **kwargs):
        passes.append(len(text))
        return forward(self, text, *args, **kwargs)

    monkeypatch.setattr(TextTransformer, 'forward', counted)
    return passes
