"""Trial of a stock model with MCDRL: it must train, predict, and be stock at gate 0."""

from __future__ import annotations

import copy
import re
import time
import traceback
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .stock_configs import NUM_CLASSES

STATUSES = OK, REFUSED, BROKEN, NOT_BUILT = 'ok', 'refused', 'broken', 'not built'
_CLIP = dict(model_name='mcdrl-tiny-rn', dense_mode='maskclip')
_WIDTH = 128
_PROMPTS = dict(
    classes=['polyp', 'tumour'],
    confounders=dict(lighting=['bright lighting', 'dark lighting'], focus=['blur']),
    background_prompts=['healthy mucosa'],
)
_IMAGES = 2


class TrialOutcome(NamedTuple):
    """Result of a trial.

    Attributes:
        status: ``ok``; ``refused`` by the conversion; ``broken``; or ``not built`` if
            the stock model itself cannot be built.
        reason: Reason in one sentence; empty for ``ok``.
        seconds: Duration.
    """

    status: str
    reason: str
    seconds: float


def try_model(model: Mapping[str, Any], size: int) -> TrialOutcome:
    """Convert a stock model, train it for a step, validate and predict.

    At gate 0 the prediction must be the stock model's, bit for bit. At gate 1, with the
    intervention active, it must differ.

    Args:
        model: See :func:`mcdrl_lab.stock_models.stock_configs.small_model`.
        size: Side of the images in pixels.
    """
    from mcdrl_mmseg.engine.insertion import NotConvertibleError

    start = time.perf_counter()
    try:
        _try(model, size)
        status, reason = OK, ''
    except NotConvertibleError as error:
        status, reason = REFUSED, str(error)
    except _NotBuiltError as error:
        status, reason = NOT_BUILT, str(error)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f'{place.filename.rsplit("/", 1)[-1]}:{place.lineno}'
        status, reason = BROKEN, f'{type(error).__name__}: {error} ({where})'
    return TrialOutcome(status, ' '.join(reason.split()), time.perf_counter() - start)


class _NotBuiltError(Exception):
    """The stock model itself cannot be built here."""


def _try(model: Mapping[str, Any], size: int) -> None:
    import torch
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    from mcdrl_mmseg.engine.config_check import check_config
    from mcdrl_mmseg.models import CausalIntervention, ConfounderDictionary

    init_default_scope('mmseg')
    cfg = converted(model)
    torch.manual_seed(0)
    try:
        # A segmentor reads its test_cfg as attributes.
        stock = MODELS.build(Config(dict(model=copy.deepcopy(dict(model)))).model)
    except Exception as error:
        raise _NotBuiltError(f'{type(error).__name__}: {error}') from error
    check_config(dict(model=cfg), training=False)
    guided = MODELS.build(cfg)
    for dictionary in _parts(guided, ConfounderDictionary):
        texts = torch.randn(len(dictionary.texts), _WIDTH)
        dictionary.fill(torch.nn.functional.normalize(texts, dim=1), 'ab' * 32)
    _train(guided, size)
    stock.load_state_dict(stock_weights(stock.state_dict(), guided.state_dict()))
    batch = images(size, 1)
    expected = _logits(stock, batch)
    interventions = _parts(guided, CausalIntervention)
    assert interventions, 'no intervention in the model'
    for gate in (0.0, 1.0):
        for intervention in interventions:
            intervention.gate.fill_(gate)
        logits = _logits(guided, batch)
        assert logits.shape == expected.shape, f'{logits.shape} for {expected.shape}'
        assert torch.isfinite(logits).all(), 'logits are not finite'
        same = torch.equal(logits, expected)
        if same != (gate == 0):
            off = (logits - expected).abs().max().item()
            raise AssertionError(f'at gate {gate:g} logits are {off:.1e} off the stock')


def converted(model: Mapping[str, Any]) -> Any:
    """Convert a stock model to MCDRL with small widths and the built-in CLIP as guide.

    Args:
        model: Section of a stock config.

    Returns:
        MMEngine's ConfigDict of the section.

    Raises:
        NotConvertibleError: The model cannot be converted; the message says why.
    """
    from mmengine.config import Config

    from mcdrl_mmseg import config_path
    from mcdrl_mmseg.engine.insertion import insert_mcdrl

    options = Config.fromfile(config_path('_base_/mcdrl.py')).mcdrl
    options.clip = _CLIP
    options.head.dictionary.embed_dims = _WIDTH
    options.head.dictionary.prompts = _PROMPTS  # update() would merge with the defaults
    options.head.intervention.update(num_layers=1, attention_dims=64, ffn_ratio=0.25)
    stock = copy.deepcopy(dict(model))
    cfg = insert_mcdrl(Config(dict(model=stock, mcdrl=options)))
    return cfg.model


def stock_weights(names: Iterable[str], state: Mapping[str, Any]) -> dict[str, Any]:
    """Extract the stock model's weights from the converted model's state dict.

    Args:
        names: Names of the stock model's weights.
        state: State dict of the model that :func:`converted` returns.

    Returns:
        Weights by the stock model's names.
    """
    return {name: state[_name_with_mcdrl(name, state)] for name in names}


def _name_with_mcdrl(name: str, state: Mapping[str, Any]) -> str:
    if name.startswith(('backbone.', 'neck.')):
        return f'backbone.{name}'
    # In a cascade only the last head became the predictor.
    wrapped = re.sub(r'^(decode_head(\.\d+)?)\.', r'\1.predictor.', name)
    return wrapped if wrapped in state else name


def images(size: int, count: int) -> dict[str, Any]:
    """A batch as from a data loader: noise, with a block of each class as labels.

    Args:
        size: Side in pixels.
        count: Images.
    """
    import torch
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    generator = torch.Generator().manual_seed(1)
    labels = torch.zeros(1, size, size, dtype=torch.long)
    for number in range(1, NUM_CLASSES):
        labels[:, size // 2 :, number * size // 4 : (number + 1) * size // 4] = number
    batch: dict[str, Any] = dict(inputs=[], data_samples=[])
    for _ in range(count):
        pixels = torch.randint(0, 256, (3, size, size), generator=generator)
        shape = dict(img_shape=(size, size), ori_shape=(size, size))
        sample = SegDataSample(metainfo=dict(shape, pad_shape=(size, size)))
        sample.gt_sem_seg = PixelData(data=labels.clone())
        # PIDNet's pipeline adds an edge map.
        sample.gt_edge_map = PixelData(data=(labels > 0).long())
        batch['inputs'].append(pixels.byte())
        batch['data_samples'].append(sample)
    return batch


def _train(model: Any, size: int) -> None:
    """Train one step; every trained weight of the intervention must get a gradient."""
    import torch

    model.train()
    data = model.data_preprocessor(images(size, _IMAGES), training=True)
    losses = model.loss(data['inputs'], data['data_samples'])
    total, _ = model.parse_losses(losses)
    assert torch.isfinite(total), f'loss {total.item()}'
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    total.backward()
    for name, weight in model.named_parameters():
        ours = 'intervention' in name or 'causal_projection' in name
        if ours and weight.requires_grad:
            assert weight.grad is not None, f'{name} has no part in the loss'
    optimizer.step()


def _logits(model: Any, batch: dict[str, Any]) -> Any:
    import torch

    model.eval()
    with torch.no_grad():
        torch.manual_seed(0)
        (result,) = model.test_step(copy.deepcopy(batch))
    return result.seg_logits.data


def _parts(model: Any, kind: type) -> list[Any]:
    return [module for module in model.modules() if isinstance(module, kind)]
