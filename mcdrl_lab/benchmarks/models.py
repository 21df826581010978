"""Models for benchmarks: built from configs, with random weights."""

from __future__ import annotations

import copy
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import Tensor, nn

from mcdrl_lab.errors import ProtocolError
from mcdrl_mmseg.clip.timm_tower import is_timm_tower
from mcdrl_mmseg.engine.insertion import with_mcdrl
from mcdrl_mmseg.models import ConfounderDictionary

TOWER, FOLDED_TOWER = 'tower', 'folded-tower'
STOCK_HEADS = ('FCNHead', 'SegformerHead', 'UPerHead')


@dataclass(frozen=True)
class Subject:
    """One thing to measure.

    Args:
        name: Its name in tables.
        cfg: A whole config; its ``model`` is built.
        bare_tower: Only measure the CLIP image tower, from pixels to the embedding.
        folded: Fold the bare tower's batch norms into its convolutions, as the model
            does in inference.
    """

    name: str
    cfg: Config
    bare_tower: bool = False
    folded: bool = False

    def build(self) -> nn.Module:
        """Build the model, with a random dictionary.

        The cost of a model depends neither on its weights nor on the texts.
        """
        init_default_scope(self.cfg.get('default_scope', 'mmseg'))
        model = MODELS.build(_without_weights(copy.deepcopy(self.cfg.model)))
        model = fill_with_noise(model)
        if not self.bare_tower:
            return model
        tower = model.backbone.tower
        return BareTower(_folded(tower) if self.folded else tower)


class BareTower(nn.Module):
    """An image tower with the interface of a segmentor.

    Args:
        tower: open_clip's image tower: images to embeddings.
    """

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, inputs: Tensor, mode: str = 'tensor') -> Tensor:
        """Embed images (B, 3, H, W) as (B, d).

        Raises:
            ProtocolError: The tower only takes its own image size, and the images have
                another.
        """
        size = self.tower.image_size
        height, width = size if isinstance(size, tuple) else (size, size)
        if inputs.shape[-2:] != (height, width) and not _is_convolutional(self.tower):
            raise ProtocolError(
                f'--against {TOWER}: the bare tower takes only {height} x {width} '
                f'pixels; got {tuple(inputs.shape[-2:])}. Set --size.'
            )
        return self.tower(inputs)


def _folded(tower: nn.Module) -> nn.Module:
    from mcdrl_mmseg.clip.folded_tower import can_fold, fold_norms

    if not can_fold(tower):
        raise ProtocolError(
            f'--against {FOLDED_TOWER}: this tower has no batch norms that are folded '
            f'in inference. Use {TOWER}.'
        )
    with torch.no_grad():
        return fold_norms(tower.eval())


def _is_convolutional(tower: nn.Module) -> bool:
    """Whether a tower takes any size: timm's without learned position embeddings."""
    return is_timm_tower(tower) and not hasattr(tower.trunk, 'patch_embed')


def fill_with_noise(model: nn.Module) -> nn.Module:
    """Fill every confounder dictionary with random unit vectors.

    Args:
        model: Any module.

    Returns:
        The module.
    """
    for module in model.modules():
        if isinstance(module, ConfounderDictionary):
            texts = torch.randn(len(module.texts), module.embed_dims)
            module.fill(nn.functional.normalize(texts, dim=1), '0' * 64)
    return model


def load_subject(config: str) -> Subject:
    """Read a config file, or a config of an installed package, as ``mmseg::NAME``.

    Args:
        config: The file.

    Raises:
        ProtocolError: There is no such config, or it has no model.
    """
    try:
        path = _installed_config(config) if '::' in config else config
        cfg = Config.fromfile(path)
    except Exception as error:
        # A config is a program: anything may go wrong in it.
        raise ProtocolError(
            f'{config}: the config could not be read ({type(error).__name__}: {error}).'
        ) from error
    if 'model' not in cfg:
        raise ProtocolError(f'{config}: expected a config with a model.')
    # The name leaves out schedule and data: a model's cost does not depend on them.
    name = re.sub(r'_\d+e[_-].*', '', config.rpartition('/')[2].removesuffix('.py'))
    return Subject(name, with_mcdrl(cfg))


def _installed_config(name: str) -> Path:
    """Path of ``PACKAGE::NAME``.

    MMEngine's own look-up uses the name of the distribution, which differs for a fork,
    and calls pip to install a package that it does not find.
    """
    package, _, path = name.partition('::')
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f'{package} is not installed')
    return Path(spec.origin).parent / '.mim' / 'configs' / path


def against(subject: Subject, name: str) -> Subject:
    """Build the subject to compare another one with.

    Args:
        subject: The subject.
        name: ``tower``, ``folded-tower``, the name of a stock head to put on the same
            tower, or a config as for :func:`load_subject`.

    Raises:
        ProtocolError: The subject's backbone or predictor does not allow it.
    """
    if name not in (TOWER, FOLDED_TOWER, *STOCK_HEADS):
        return load_subject(name)
    backbone = subject.cfg.model.get('backbone', {})
    if backbone.get('type') != 'CLIPVisionBackbone':
        raise ProtocolError(
            f'--against {name} needs a config whose backbone is CLIPVisionBackbone; '
            f'{subject.name} has {backbone.get("type")}. Use a config instead.'
        )
    cfg = copy.deepcopy(subject.cfg)
    if name == TOWER:
        return Subject('bare tower', cfg, bare_tower=True)
    if name == FOLDED_TOWER:
        return Subject('bare tower, folded', cfg, bare_tower=True, folded=True)
    if name == 'FCNHead':
        head = cfg.model.decode_head
        predictor = {**head.get('predictor', head), 'in_index': -2}
        if head.get('similarity_map'):
            # The predictor takes features and similarity; a stock head features only.
            predictor.pop('input_transform')
            predictor['in_channels'] = sum(predictor['in_channels']) - 1
        cfg.model.decode_head = predictor
        if cfg.model.decode_head['type'] != 'FCNHead':
            raise ProtocolError(
                f'--against FCNHead: the predictor of {subject.name} is '
                f'{cfg.model.decode_head["type"]}. Use that head or a config.'
            )
    else:
        _use_levels(cfg, name)
    return Subject(f'same tower + {name}', cfg)


def _use_levels(cfg: Config, head: str) -> None:
    """Replace the decode head by one that takes four levels of the tower."""
    width, stages = _levels(cfg)
    # Only levels, as in a stock model: no cost of a special dense mode.
    cfg.model.backbone.update(out_indices=stages, dense_mode='vanilla')
    cfg.model.decode_head = dict(
        type=head,
        in_channels=width,
        in_index=[0, 1, 2, 3],
        channels=dict(SegformerHead=256, UPerHead=512)[head],
        num_classes=2,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False),
        **(dict(pool_scales=(1, 2, 3, 6)) if head == 'UPerHead' else {}),
    )


def _levels(cfg: Config) -> tuple[list[int], tuple[int, ...]]:
    from mcdrl_mmseg.clip.model_config import get_model_config

    vision = get_model_config(cfg.model.backbone.model_name)['vision_cfg']
    width, layers = vision['width'], vision['layers']
    if isinstance(layers, int):
        return [width] * 4, tuple(layers * n // 4 - 1 for n in (1, 2, 3, 4))
    # Bottleneck stages have four times as many channels as their convolutions.
    return [width * 4 * 2**n for n in range(4)], (0, 1, 2, 3)


def with_ratio(subject: Subject, ratio: float) -> Subject:
    """A copy of the subject with another alpha.

    Args:
        subject: A subject with an MCDRL head.
        ratio: Share of positions kept.

    Raises:
        ProtocolError: It has no region selector and keeps all positions.
    """
    cfg = _own_head(subject)
    head = cfg.model.decode_head
    selector = head.get('region_selector', dict(type='CLIPRegionSelector'))
    if selector is None:
        raise ProtocolError(
            f'--ratios: {subject.name} has region_selector=None and keeps all '
            'positions; use a config with a CLIPRegionSelector.'
        )
    head.region_selector = {**selector, 'ratio': ratio}
    return Subject(f'alpha = {ratio:g}', cfg)


def with_confounders(subject: Subject, count: int) -> Subject:
    """A copy of the subject with another number of dictionary entries.

    Args:
        subject: A subject with an MCDRL head.
        count: M.
    """
    cfg = _own_head(subject)
    dictionary = cfg.model.decode_head.dictionary
    names = [f'condition {n}' for n in range(count)]
    dictionary.prompts['confounders'] = {'conditions': names}
    return Subject(f'M = {count}', cfg)


def _own_head(subject: Subject) -> Config:
    cfg = copy.deepcopy(subject.cfg)
    head = cfg.model.get('decode_head', {}).get('type')
    if head != 'CausalInterventionHead':
        raise ProtocolError(
            f'--ratios and --confounders vary a CausalInterventionHead; {subject.name} '
            f'has {head}.'
        )
    return cfg


def _without_weights(model: dict) -> dict:
    """Remove pretrained weights and vocabularies, so that nothing is downloaded."""
    for part in _parts(model):
        if 'pretrained' in part:
            part['pretrained'] = None
        init = part.get('init_cfg')
        if isinstance(init, dict) and init.get('type') == 'Pretrained':
            part['init_cfg'] = None
    text = model.get('text_encoder')
    if text is not None and text.get('dataset_name') is None:
        text['vocabulary'] = ['lesion']
    return model


def _parts(value: object) -> Iterator[dict]:
    """All dicts of a nested config, also that of a backbone inside a backbone."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _parts(part)
