"""Explains MCDRL's prediction for one image, and the effect of the intervention."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mcdrl_mmseg.models import CausalInterventionHead
from mcdrl_mmseg.models.confounder_attention import entry_names
from mcdrl_mmseg.models.last_decode_head import last_decode_head
from mcdrl_mmseg.models.region_selector import text_similarity
from mcdrl_mmseg.visualization.padding import WHOLE, Window, window_of

from .image_pipeline import as_image, lesion_probability, model_lock, prepare
from .temperature import calibrated_probability


@dataclass(frozen=True)
class LesionProbability:
    """Lesion probability of one image, at its native size.

    Attributes:
        network: (H, W) float32 in [0, 1], the sum of all lesion classes.
        calibrated: The same with the temperatures of the checkpoint, which were fitted
            at the checkpoint's gate; None if it has none.
    """

    network: np.ndarray
    calibrated: np.ndarray | None = None


@dataclass(frozen=True)
class Explanation:
    """Explanation of a prediction for one image; all arrays are NumPy arrays.

    Attributes:
        image: (H, W, 3) uint8, red first, native size.
        class_names: K lesion classes of the prompt set.
        confounder_names: M imaging conditions. Entries of a control dictionary
            (random, learned, shuffled) have no meaning and are only numbered.
        similarity: (K, h, w) S, cosine of CLIP's dense features and class texts, on
            CLIP's grid.
        kept: (h', w') bool, the selected positions, on the grid of the features
            that are intervened on.
        attention: (M,) weights of the confounders, mean over the kept positions;
            they sum to 1. With ``approximation='attention'`` they are the image's
            attention; other forms weight by P(z), the same for all images.
        attention_maps: (M, h', w') the weights at every position, NaN where not kept.
        lesion_probability: ``'gate_0'`` (no intervention) and ``'gate_1'`` (full
            intervention), (H, W) float32 in [0, 1]: the sum of all lesion classes.
            Also ``'gate'``, at :attr:`gate`, if requested. Not calibrated.
        per_confounder: (M, H, W), the prediction under each single do(z = z_m).
        gate: The checkpoint's gate, or the requested one.
        approximation: Form of the intervention, see
            :class:`~mcdrl_mmseg.models.CausalIntervention`.
        calibrated_probability: As :attr:`lesion_probability`, calibrated; empty if the
            checkpoint has no temperatures.
        window: Position of the image on the maps, which cover the padded input: top,
            bottom, left and right, as shares.
    """

    image: np.ndarray
    class_names: tuple[str, ...]
    confounder_names: tuple[str, ...]
    similarity: np.ndarray
    kept: np.ndarray
    attention: np.ndarray
    attention_maps: np.ndarray
    lesion_probability: dict[str, np.ndarray]
    per_confounder: np.ndarray
    gate: float
    approximation: str = 'attention'
    calibrated_probability: dict[str, np.ndarray] = field(default_factory=dict)
    window: Window = WHOLE


@torch.no_grad()
def explain(
    model: nn.Module,
    image: str | os.PathLike | np.ndarray,
    *,
    gate: float | None = None,
) -> Explanation:
    """Explain a model's prediction for one image.

    Maps come from one pass over the whole image. Predictions follow the model's
    ``test_cfg``, sliding windows included. As the gate is part of the model, calls with
    the same model wait for each other and for :meth:`MCDRLInferencer.predict`.

    Args:
        model: A segmentor with a :class:`~mcdrl_mmseg.models.CausalInterventionHead`,
            from ``mmseg.apis.init_model`` or :func:`~mcdrl_mmseg.apis.load_segmentor`.
        image: A path, or (H, W, 3) uint8, blue first, as mmseg takes it.
        gate: A further gate value in [0, 1] to predict with.

    Returns:
        The explanation.

    Raises:
        ValueError: The model has no such head, or its head does not intervene with
            a dictionary (``intervention=None`` or ``attend_to='self'``); the gate
            is outside [0, 1].
        ImageError: The image cannot be read.
        DictionaryError: The checkpoint holds no dictionary.
    """
    head = _intervening_head(model)
    if gate is not None:
        _check_gate(gate)
    picture = as_image(image)
    with model_lock(model), _evaluating(model):
        inputs, samples = prepare(model, picture)
        window = window_of(samples[0].metainfo, inputs.shape[2:])
        features = model.extract_feat(inputs)
        state = head.intervene(features)
        predict = _predictor(model, inputs, features, samples)
        probabilities = _at_each_gate(head, predict, gate)
        per_confounder = _for_each_confounder(head, predict)
        weights = _confounder_weights(head, state.region_tokens)[0]
        own_gate = float(head.intervention.gate)

    kept, maps = _on_grid(state.indices, weights, head.leading_map(features).shape[2:])
    return Explanation(
        image=np.ascontiguousarray(picture[..., ::-1]),
        class_names=head.dictionary.prompts.classes,
        confounder_names=entry_names(head.dictionary),
        similarity=_similarity(head, state, features),
        kept=kept,
        attention=weights.mean(dim=0).float().cpu().numpy(),
        attention_maps=maps,
        lesion_probability={key: p.network for key, p in probabilities.items()},
        per_confounder=per_confounder,
        gate=own_gate if gate is None else float(gate),
        approximation=head.intervention.approximation,
        calibrated_probability={
            key: p.calibrated
            for key, p in probabilities.items()
            if p.calibrated is not None
        },
        window=window,
    )


def predict_at_gate(
    model: nn.Module, image: str | os.PathLike | np.ndarray, gate: float
) -> np.ndarray:
    """Predict with another gate value.

    Args:
        model: As for :func:`explain`; its gate is restored afterwards.
        image: As for :func:`explain`.
        gate: In [0, 1]; 0 is the network without intervention.

    Returns:
        (H, W) float32, the lesion probability at native size, before calibration.

    Raises:
        ValueError: See :func:`explain`.
        ImageError: The image cannot be read.
    """
    return probability_at_gate(model, image, gate).network


@torch.no_grad()
def probability_at_gate(
    model: nn.Module, image: str | os.PathLike | np.ndarray, gate: float
) -> LesionProbability:
    """Like :func:`predict_at_gate`, but also with the calibrated probability.

    Args:
        model: As for :func:`explain`; its gate is restored afterwards.
        image: As for :func:`explain`.
        gate: In [0, 1]; 0 is the network without intervention.

    Raises:
        ValueError: See :func:`explain`.
        ImageError: The image cannot be read.
    """
    head = _intervening_head(model)
    _check_gate(gate)
    picture = as_image(image)
    with model_lock(model), _evaluating(model), _gate_at(head, gate):
        inputs, samples = prepare(model, picture)
        features = model.extract_feat(inputs)
        return _predictor(model, inputs, features, samples)()


def _intervening_head(model: nn.Module) -> CausalInterventionHead:
    head = last_decode_head(model)
    if not isinstance(head, CausalInterventionHead):
        raise ValueError(
            'only a model with a CausalInterventionHead can be explained, but this '
            f'{type(model).__name__} has decode_head={type(head).__name__}. '
            'tools/predict.py segments images with any model.'
        )
    if head.intervention is None or head.intervention.attend_to == 'self':
        what = 'intervention=None' if head.intervention is None else "attend_to='self'"
        raise ValueError(
            f'the head of this model has {what}: it does not intervene with the '
            'confounder dictionary, so there is no confounder to explain.'
        )
    return head


def _check_gate(gate: float) -> None:
    if not 0 <= gate <= 1:
        raise ValueError(f'gate={gate} must lie in [0, 1].')


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


@contextmanager
def _gate_at(head: CausalInterventionHead, value: float) -> Iterator[None]:
    before = [each.gate.clone() for each in head.interventions]
    for each in head.interventions:
        each.gate.fill_(value)
    try:
        yield
    finally:
        for each, gate in zip(head.interventions, before, strict=True):
            each.gate.copy_(gate)


def _at_each_gate(
    head: CausalInterventionHead,
    predict: Callable[[], LesionProbability],
    further: float | None,
) -> dict[str, LesionProbability]:
    """Predictions at gate 0, at gate 1, and at a further gate value if given."""
    probabilities = {}
    for key, value in {'gate_0': 0.0, 'gate_1': 1.0, 'gate': further}.items():
        if value is not None:
            with _gate_at(head, value):
                probabilities[key] = predict()
    return probabilities


def _for_each_confounder(
    head: CausalInterventionHead, predict: Callable[[], LesionProbability]
) -> np.ndarray:
    """(M, H, W), the network's probability under do(z = z_m) for every entry."""
    maps = []
    for number in range(len(head.dictionary.entries)):
        with _gate_at(head, 1.0), _single(head, number):
            maps.append(predict().network)
    return np.stack(maps)


@contextmanager
def _single(head: CausalInterventionHead, number: int) -> Iterator[None]:
    """Context in which tokens attend to a single entry: do(z = z_m)."""

    def forward(
        intervention: nn.Module, tokens: Tensor, entries: Tensor, *_: Tensor | None
    ) -> Tensor:
        return intervention.intervene_on(tokens, entries[number : number + 1])[:, 0]

    for each in head.interventions:
        each.forward = partial(forward, each)
    try:
        yield
    finally:
        for each in head.interventions:
            del each.forward


def _predictor(
    model: nn.Module, inputs: Tensor, features: tuple[Tensor, ...], samples: list[Any]
) -> Callable[[], LesionProbability]:
    """Function that predicts with the head's current state; the backbone runs once."""
    metas = [sample.metainfo for sample in samples]
    temperature = getattr(model, 'temperature', None)

    def predict() -> LesionProbability:
        cascade = isinstance(model.decode_head, nn.ModuleList)
        with _same_draws(inputs.device):
            if model.test_cfg.mode == 'slide' or cascade:
                logits = model.inference(inputs, metas)
            else:
                logits = model.decode_head.predict(features, metas, model.test_cfg)
        scores = model.postprocess_result(logits, samples)[0].seg_logits.data
        network = lesion_probability(scores).cpu().numpy()
        if temperature is None:
            return LesionProbability(network)
        calibrated = calibrated_probability(scores, temperature)
        return LesionProbability(network, calibrated.cpu().numpy())

    return predict


@contextmanager
def _same_draws(device: torch.device) -> Iterator[None]:
    """Let a head that draws at each prediction, as SegNeXt's, draw the same again.

    What differs between two predictions is then what was changed between them.
    """
    with torch.random.fork_rng([device] if device.type == 'cuda' else []):
        torch.manual_seed(0)
        yield


def _confounder_weights(head: CausalInterventionHead, tokens: Tensor) -> Tensor:
    """(1, N, M), weights of the confounders in the model's own approximation."""
    entries, prior = head.dictionary.entries, head.dictionary.confounder_prior
    if head.intervention.approximation == 'attention':
        return head.intervention.attention_weights(tokens, entries, prior)
    # The other approximations do not train queries and keys: attention would be noise.
    return prior.expand(*tokens.shape[:2], -1)


def _similarity(
    head: CausalInterventionHead, state: Any, features: tuple[Tensor, ...]
) -> np.ndarray:
    """S of the whole image, also for a head without a region selector."""
    similarity = state.similarity
    if similarity is None:
        similarity = text_similarity(features[-2], head.dictionary.class_embeddings)
    return similarity[0].float().cpu().numpy()


def _on_grid(
    indices: Tensor | None, weights: Tensor, grid: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """(h', w') kept and (M, h', w') weights, from flat positions."""
    count = grid[0] * grid[1]
    positions = np.arange(count) if indices is None else indices[0].cpu().numpy()
    kept = np.zeros(count, dtype=bool)
    kept[positions] = True
    maps = np.full((weights.shape[1], count), np.nan, dtype=np.float32)
    maps[:, positions] = weights.T.float().cpu().numpy()
    return kept.reshape(grid), maps.reshape(-1, *grid)
