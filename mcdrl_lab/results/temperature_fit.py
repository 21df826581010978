"""Temperatures of the lesion classes, fitted on validation images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, logit

from mcdrl_lab.errors import ProtocolError

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn

PIXELS_AN_IMAGE = 20_000
"""Pixels sampled from each image; more change only the temperature's third digit."""
_LOWEST, _HIGHEST = 0.02, 50.0


def fit_temperature(log_odds: np.ndarray, target: np.ndarray) -> list[float]:
    """Fit the temperatures by maximum likelihood.

    Args:
        log_odds: (n, K) log-odds of K lesion classes against the background.
        target: (n,) true classes, 0 to K.

    Returns:
        K temperatures between 0.02 and 50. The maximum is unique: the log-likelihood is
        concave in their inverses.

    Raises:
        ProtocolError: A class, or the background, has no pixel.
    """
    classes = log_odds.shape[1]
    missing = sorted(set(range(classes + 1)) - set(np.unique(target).tolist()))
    if missing:
        raise ProtocolError(
            f'no validation pixel of class {missing[0]} (0 is the background): its '
            'temperature cannot be fitted. Use a config whose val_dataloader has '
            'images with every lesion class.'
        )
    rows = np.arange(len(target))

    def loss(log_temperature: np.ndarray) -> tuple[float, np.ndarray]:
        scaled = log_odds / np.exp(log_temperature)
        scores = np.concatenate([np.zeros((len(scaled), 1)), scaled], axis=1)
        log_p = log_softmax(scores, axis=1)
        truth = np.zeros_like(scores)
        truth[rows, target] = 1.0
        # d(scaled) / d(log T) = -scaled.
        slope = -((np.exp(log_p) - truth)[:, 1:] * scaled).mean(axis=0)
        return float(-log_p[rows, target].mean()), slope

    found = minimize(
        loss,
        np.zeros(classes),
        jac=True,
        method='L-BFGS-B',
        bounds=[(np.log(_LOWEST), np.log(_HIGHEST))] * classes,
        options=dict(ftol=1e-12, gtol=1e-8),
    )
    return [float(value) for value in np.exp(found.x)]


def limit_note(name: str, temperature: float) -> str | None:
    """Warning about a temperature at a limit of the search, or None.

    Args:
        name: The lesion class.
        temperature: From :func:`fit_temperature`.
    """
    if temperature <= _LOWEST * (1 + 1e-6):
        meaning = (
            'hardly a sampled validation pixel is wrong, so that probabilities of 0 '
            'and 1 fit best. Fit on more images'
        )
    elif temperature >= _HIGHEST * (1 - 1e-6):
        meaning = (
            'its scores fit the validation masks no better than a probability of 50 %. '
            'Check that checkpoint, config and masks belong together'
        )
    else:
        return None
    return (
        f'{name}: temperature {temperature:g} is at the limit of the search, {_LOWEST} '
        f'to {_HIGHEST:g}, not a fitted value: {meaning}.'
    )


@dataclass
class Calibration:
    """Fitted temperatures, and the calibration before and after.

    Attributes:
        temperature: One value per lesion class.
        sites: Sites of the images used for the fit.
        images: Number of these images.
        scores: Loader -> 'before' or 'after' -> metrics by their full names, as
            ``site/c1/ECE``; see docs/metrics.md.
    """

    temperature: list[float]
    sites: list[str]
    images: int
    scores: dict[str, dict[str, dict[str, float | None]]] = field(default_factory=dict)


def calibrate(
    model: nn.Module, cfg: Config, loaders: Sequence[str] = ('val',)
) -> Calibration:
    """Fit temperatures on a config's validation images, and measure their effect.

    Args:
        model: Model from ``load_segmentor``.
        cfg: The whole config of its training.
        loaders: Loaders on whose images calibration is measured; ``'val'``, ``'test'``.

    Returns:
        The temperatures and the scores before and after.

    Raises:
        ProtocolError: A validation image is of the site that the config or the training
            held out, the validation images lack a lesion class, or their classes have
            other labels than those of the training; or test images are among them.
    """
    from mmengine.registry import init_default_scope

    init_default_scope(cfg.get('default_scope', 'mmseg'))
    _check_labels(model, cfg, ['val', *loaders])
    if 'test' in loaders:
        _check_test_images(cfg)
    # The config may be of another fold than the checkpoint.
    trained = getattr(model, 'trained_sites', None)
    odds, targets, sites = [], [], []
    rng = np.random.default_rng(0)
    for site, logits, target in _predictions(model, cfg, 'val'):
        if site == cfg.get('held_out_site'):
            raise ProtocolError(
                f'val_dataloader has images of the held-out site {site!r}, but '
                'temperatures are fitted on training sites only. Use the config of a '
                'run whose checkpoint was chosen by validation.'
            )
        if trained is not None and site == trained.held_out:
            raise ProtocolError(
                f'val_dataloader has images of {site!r}, which the training of the '
                'checkpoint held out, but temperatures are fitted on training sites '
                f'only. Use the config of that training; MCDRL_HELD_OUT={site} chooses '
                'its fold.'
            )
        valid = np.flatnonzero(target != _ignored_by(model))
        chosen = rng.permutation(valid)[:PIXELS_AN_IMAGE]
        odds.append(_log_odds(logits.reshape(len(logits), -1)[:, chosen]).T)
        targets.append(target.reshape(-1)[chosen])
        sites.append(site)
    if not sites:
        raise ProtocolError('val_dataloader holds no image: nothing to fit on.')
    temperature = fit_temperature(np.concatenate(odds), np.concatenate(targets))
    done = Calibration(temperature, sorted(set(sites)), len(sites))
    for loader in loaders:
        done.scores[loader] = _measure(model, cfg, loader, temperature)
    return done


def _check_labels(model: nn.Module, cfg: Config, loaders: Sequence[str]) -> None:
    """Refuse data in which the label of a class is that of another in the training."""
    from mcdrl_mmseg.engine.class_order import moved_class
    from mcdrl_mmseg.engine.config_check.config_components import (
        components,
        datasets_of,
    )
    from mcdrl_mmseg.engine.config_check.evaluated_data import classes_of

    parts = components(cfg)
    for loader in loaders:
        for part in datasets_of(parts, loader):
            trained = model.dataset_meta['classes']
            if problem := moved_class(trained, classes_of(part)):
                raise ProtocolError(f'{part.at("metainfo")}: the checkpoint {problem}')


def _check_test_images(cfg: Config) -> None:
    """Refuse to test on images of the fit, as a config that holds no site out has."""
    fitted, tested = (_image_paths(cfg, loader) for loader in ('val', 'test'))
    if shared := sorted(fitted & tested):
        raise ProtocolError(
            f'{len(shared)} of {len(tested)} test images, such as {shared[0]}, are '
            'validation images, which the temperatures are fitted on: their scores '
            'would not show how well other images are calibrated. Leave out --test, '
            'or use the config of a run that held a site out.'
        )


def _image_paths(cfg: Config, loader: str) -> set[str]:
    """Paths of a loader's images, none of which is read."""
    from mmseg.registry import DATASETS

    if not cfg.get(f'{loader}_dataloader'):
        raise ProtocolError(f'the config has no {loader}_dataloader.')
    dataset = DATASETS.build(cfg[f'{loader}_dataloader'].dataset)
    return {str(dataset.get_data_info(n)['img_path']) for n in range(len(dataset))}


def _ignored_by(model: nn.Module) -> int:
    """Label of pixels without ground truth; the data use the same one."""
    from mcdrl_mmseg.models.last_decode_head import last_decode_head

    return last_decode_head(model).ignore_index


def _log_odds(logits: np.ndarray) -> np.ndarray:
    """(C, n) scores of a prediction as log-odds (K, n) against the background."""
    if len(logits) == 1:
        # mmseg has already applied a sigmoid to a single channel.
        return logit(np.clip(logits.astype(np.float64), 1e-7, 1 - 1e-7))
    return (logits[1:] - logits[:1]).astype(np.float64)


def _predictions(
    model: nn.Module, cfg: Config, loader: str
) -> Iterator[tuple[str, Any, np.ndarray]]:
    """Site, scores (C, H, W) and true classes (H, W) of every image of a loader."""
    import torch

    from mcdrl_mmseg.apis.image_pipeline import check_scores
    from mcdrl_mmseg.evaluation.sample_reader import ONE_SITE

    from .config_batches import batches

    with torch.no_grad():
        for batch in batches(cfg, [loader]):
            for sample in model.test_step(batch):
                scores = sample.seg_logits.data.float().cpu()
                check_scores(scores)
                target = sample.gt_sem_seg.data[0].cpu().numpy().astype(int)
                yield sample.get('site') or ONE_SITE, scores.numpy(), target


def _measure(
    model: nn.Module, cfg: Config, loader: str, temperature: Sequence[float]
) -> dict[str, dict[str, float | None]]:
    import torch

    from mcdrl_common.site_reliability import scoped_calibration
    from mcdrl_mmseg.apis.image_pipeline import lesion_probability
    from mcdrl_mmseg.apis.temperature import calibrated_probability
    from mcdrl_mmseg.evaluation.calibration_counts import calibration_histograms

    counts: dict[str, dict[str, np.ndarray | None]] = {'before': {}, 'after': {}}
    for site, logits, target in _predictions(model, cfg, loader):
        scores, truth = torch.from_numpy(logits), torch.from_numpy(target)
        valid = truth != _ignored_by(model)
        maps = dict(
            before=lesion_probability(scores),
            after=calibrated_probability(scores, temperature),
        )
        for when, p in maps.items():
            own = calibration_histograms(p, (truth != 0) & valid, valid).astype(int)
            before = counts[when].get(site)
            counts[when][site] = own if before is None else before + own
    return {when: scoped_calibration(sites) for when, sites in counts.items()}
