"""Dice of images at held-out sites, from the records of a plan."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mcdrl_common.metric_names import CONFIDENCES
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.results.plan_records import load_records, warn_of_other_data
from mcdrl_lab.results.scores import done


@dataclass(frozen=True)
class RecordedImage:
    """An image with a lesion, tested while its site was held out.

    Attributes:
        site: The held-out site.
        path: The image file.
        dice: Mean Dice over the seeds.
        sequence: Video or patient, if known.
        confidence: The network's own confidence, ``self_dice`` and ``mean_confidence``,
            means over the seeds; None if a record lacks it, as older records do.
    """

    site: str
    path: Path
    dice: float
    sequence: str | None = None
    confidence: tuple[float, float] | None = None


def recorded_dice(
    records: str | os.PathLike,
    data_root: str | os.PathLike | None,
    method: str | None = None,
    images_per_site: int | None = 200,
    model_hash: str = '',
) -> list[RecordedImage]:
    """Read Dice by image and find the images.

    Args:
        records: A ``records.jsonl`` or the folder of a plan.
        data_root: Folder of the sites: an image is ``DATA_ROOT/SITE/IMAGE``.
        method: Name of the method; None takes the last recorded one, preferably of the
            network with this ``model_hash``.
        images_per_site: Largest number of images, evenly spaced over the site; None
            takes all.
        model_hash: Hash of the network's settings, see
            :func:`~mcdrl_common.model_settings.model_hash`; empty accepts any network.

    Raises:
        ProtocolError: No records, no such method, a method with another network, no
            ``data_root``, or missing images.
    """
    runs = done(load_records(records))
    methods = list(dict.fromkeys(run.method for run in runs))
    fitting = [r.method for r in runs if model_hash and r.model_hash == model_hash]
    method = method or [*dict.fromkeys(fitting or methods)][-1]
    if method not in methods:
        raise ProtocolError(
            f'{records} has no finished run of the method {method!r}; choose one of '
            f'{", ".join(methods)}.'
        )
    # Older records have no hash of their network.
    networks = {run.model_hash for run in runs if run.method == method} - {''}
    if model_hash and networks and model_hash not in networks:
        raise ProtocolError(
            f'{records}: the network of {method!r} has other settings than the '
            'checkpoint, so its Dice says nothing about the checkpoint. Set --method '
            'to the method of the checkpoint '
            f'({", ".join(dict.fromkeys(fitting)) or "none"} of these records).'
        )
    if data_root is None:
        raise ProtocolError(
            'the imaging conditions of the recorded images are needed too: set '
            '--data-root to the folder of the sites.'
        )
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for run in runs:
        # The Dice of a checkpoint chosen on the held-out site is optimistic.
        if run.method == method and run.selection == 'validation':
            for image in run.images:
                if image.get('dice') is not None:
                    images = found.setdefault(run.held_out, {})
                    images.setdefault(image['image'], []).append(image)
    if not found:
        raise ProtocolError(
            f'{records} has no image with a lesion on which {method!r} was tested with '
            'a checkpoint chosen on the training sites.'
        )
    located = list(_located(found, Path(data_root), images_per_site))
    warn_of_other_data(runs, method, Path(data_root))
    return located


def confidences(images: Sequence[RecordedImage]) -> np.ndarray:
    """The network's own confidence in each image, (n, 2).

    Args:
        images: Images from records.

    Raises:
        ProtocolError: A record has no confidence; the message says what to do.
    """
    without = [image for image in images if image.confidence is None]
    if without:
        raise ProtocolError(
            f'{without[0].path}: its record lacks how confident the network was. It '
            'was made by an older version, or by a test with calibration=False. Test '
            'the checkpoints again with this version (tools/test.py), or run the plan '
            'again in a new folder.'
        )
    return np.array([image.confidence for image in images], float)


def _located(
    found: dict[str, dict[str, list[dict[str, Any]]]],
    root: Path,
    images_per_site: int | None,
) -> Iterator[RecordedImage]:
    for site, own in sorted(found.items()):
        images = sorted(own.items())
        count = min(images_per_site or len(images), len(images))
        for place in np.linspace(0, len(images) - 1, count).round().astype(int):
            name, seeds = images[place]
            below = PurePosixPath(name)
            path = root / site / below
            if below.is_absolute() or '..' in below.parts or not path.is_file():
                raise ProtocolError(
                    f'{path}, an image of the records, was not found: --data-root must '
                    'be the folder of the sites that were tested.'
                )
            yield RecordedImage(
                site,
                path,
                float(np.mean([image['dice'] for image in seeds])),
                seeds[0].get('sequence'),
                _confidence(seeds),
            )


def _confidence(seeds: list[dict[str, Any]]) -> tuple[float, float] | None:
    rows = [[image.get(name) for name in CONFIDENCES] for image in seeds]
    if any(value is None for row in rows for value in row):
        return None
    first, second = np.mean(np.array(rows, float), axis=0).tolist()
    return first, second
