"""Lesion classes of EndoSim's images, for records that lack them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import PurePosixPath

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import RunRecord
from mcdrl_lab.simulation.hospitals import SITES, Conditions
from mcdrl_lab.simulation.sampling import sample_scene


def with_lesion_classes(records: Iterable[RunRecord], seed: int) -> list[RunRecord]:
    """Fill in the lesion classes, which older compact records lack.

    The lesion of an image depends only on seed, site and number, not on the other
    options of the data set. Classes that a record has are kept.

    Args:
        records: Runs on EndoSim.
        seed: Seed of the data set.

    Raises:
        ProtocolError: A site or image is not one of EndoSim's, or an image has a lesion
            and has none in this data set: the seed is wrong.
    """
    return [
        replace(
            record, images=[_filled(record, image, seed) for image in record.images]
        )
        for record in records
    ]


def _filled(record: RunRecord, image: dict, seed: int) -> dict:
    if not image['has_lesion'] or image.get('lesion_classes'):
        return image
    where = f'{record.method}, {record.held_out}, {image["image"]}'
    number = _number(image['image'])
    if record.held_out not in SITES or number is None:
        raise ProtocolError(f'{where}: not an image of EndoSim.')
    name = _lesion_class(seed, record.held_out, number)
    if name is None:
        raise ProtocolError(
            f'{where} has a lesion, but not in EndoSim with --seed {seed}: the records '
            'are of another data set.'
        )
    return {**image, 'lesion_classes': [name]}


# Cached: all records of a data set have the same images.
@lru_cache(maxsize=100_000)
def _number(image: str) -> int | None:
    stem = PurePosixPath(image).stem
    return int(stem) if stem.isdecimal() else None


@lru_cache(maxsize=100_000)
def _lesion_class(seed: int, site: str, number: int) -> str | None:
    lesion = sample_scene(seed, number, Conditions(site)).lesion
    return None if lesion is None else lesion.name
