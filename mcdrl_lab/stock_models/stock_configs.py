"""Model sections of MMSegmentation's own configs, made small enough for trials."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

NUM_CLASSES = 3
"""Classes of every tried model: background and two lesion classes."""


_KEY_SIZE = 64
_DEPTH, _SMALLER_DEPTH = 101, 50
_BLOCKS, _BLOCKS_OF_A_STAGE = 4, 2


class StockModel(NamedTuple):
    """A model section that one or several stock configs share.

    Attributes:
        key: Digest of the section after :func:`small_model`. It does not depend on the
            image size, so that a model tried at two sizes is not counted twice.
        model: The section.
        configs: Names of the configs, as ``fcn/fcn_r50-d8_4xb2-40k_cityscapes.py``.
    """

    key: str
    model: dict[str, Any]
    configs: list[str]


def stock_folder() -> Path:
    """Where the installed MMSegmentation keeps its configs."""
    import mmseg

    return Path(mmseg.__file__).parent / '.mim' / 'configs'


def list_models(
    folder: Path, size: int
) -> tuple[dict[str, StockModel], dict[str, str]]:
    """Read all configs, and group those with the same model.

    Configs that only differ in data set, schedule, number of classes or published
    weights have the same model.

    Args:
        folder: Folder with one subfolder per method, and ``_base_``.
        size: Side of the images in pixels, see :func:`small_model`.

    Returns:
        Models by key, and the reason for each config that cannot be read.
    """
    from mmengine.config import Config

    models: dict[str, StockModel] = {}
    unreadable: dict[str, str] = {}
    for path in sorted(folder.glob('[!_]*/**/*.py')):
        name = path.relative_to(folder).as_posix()
        try:
            cfg = Config.fromfile(path, import_custom_modules=False)
            stock = {'data_preprocessor': cfg.get('data_preprocessor')}
            section = stock | cfg.model.to_dict()
            model = small_model(section, size)
            named = small_model(section, _KEY_SIZE)
        except Exception as error:
            unreadable[name] = f'{type(error).__name__}: {error}'.splitlines()[0]
            continue
        text = json.dumps(named, sort_keys=True, default=str)
        key = hashlib.sha256(text.encode()).hexdigest()[:12]
        models.setdefault(key, StockModel(key, model, [])).configs.append(name)
    return models, unreadable


def small_model(model: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Shrink a stock model for a trial: the same layers, for small images on one CPU.

    No weights are downloaded, ``SyncBN`` becomes ``BN``, and labels have
    :data:`NUM_CLASSES` classes. Sliding-window inference becomes whole-image inference.
    ResNets and ResNeSts of depth 101 become depth 50, with the same widths, and
    transformers get few blocks: four in a ViT, two in each stage of Swin.

    Args:
        model: The model section of a stock config, with its ``data_preprocessor``.
        size: Side of the images in pixels; also of the position embeddings of a
            backbone that names an ``img_size``.
    """
    model = copy.deepcopy(dict(model))
    head = model['decode_head']
    head = head[-1] if isinstance(head, list) else head
    head = head.get('kernel_generate_head', head)
    small = _reduced(model, head.get('num_classes'), size)
    if 'backbone' in small:
        _keep_few_blocks(small['backbone'])
    preprocessor = small['data_preprocessor'] or {}
    kept = ('type', 'mean', 'std', 'bgr_to_rgb')
    small['data_preprocessor'] = {k: v for k, v in preprocessor.items() if k in kept}
    small['data_preprocessor'].update(size=(size, size), seg_pad_val=255)
    if (small.get('test_cfg') or {}).get('mode') == 'slide':
        small['test_cfg'] = dict(mode='whole')
    return small


def _reduced(value: Any, classes: int | None, size: int) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _small_entry(key, item, classes, size) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return type(value)(_reduced(item, classes, size) for item in value)
    return value


def _keep_few_blocks(backbone: dict[str, Any]) -> None:
    """Reduce the blocks of ViT and Swin, and adapt the ``out_indices`` of ViT."""
    index = backbone.get('out_indices')
    if index is not None and isinstance(backbone.get('num_layers'), int):
        several = isinstance(index, (list, tuple))
        backbone['num_layers'] = _BLOCKS
        last = range(_BLOCKS)[-len(index) :] if several else [_BLOCKS - 1]
        backbone['out_indices'] = tuple(last) if several else last[0]
    if 'depths' in backbone:
        backbone['depths'] = [_BLOCKS_OF_A_STAGE] * len(backbone['depths'])


def _small_entry(key: str, value: Any, classes: int | None, size: int) -> Any:
    if key == 'type' and value == 'SyncBN':
        return 'BN'
    if key == 'depth' and value == _DEPTH:
        return _SMALLER_DEPTH
    if key in ('init_cfg', 'pretrained'):
        return False if value is True else None
    if key == 'img_size':
        return (size, size)
    if key == 'num_classes' and value == classes:
        return NUM_CLASSES
    if key == 'class_weight' and isinstance(value, list) and classes:
        # Query-based heads have the weight of "no object" after those of the classes.
        return value[:NUM_CLASSES] + value[classes:]
    return _reduced(value, classes, size)
