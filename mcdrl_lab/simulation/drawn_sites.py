"""Real images with drawn conditions that are correlated with lesions at training sites.

A step between simulation and real hospitals: the tissue is real, and the drawn
conditions are known. At the training sites conditions are correlated with large
lesions, or with any lesion; at the held-out site they are not. The strength of the
correlation is set from 0 to 1.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from mcdrl_common.image_index import read_table
from mcdrl_common.mask_format import is_lesion
from mcdrl_common.verification.entry import Entry
from mcdrl_lab.data.csv_text import csv_text
from mcdrl_lab.data.lesion_masks import read_labels
from mcdrl_lab.data.output_folder import (
    is_new,
    put_folder,
    put_text,
    work_folder,
)
from mcdrl_lab.data.whole_sites import entries_by_site
from mcdrl_lab.errors import ConversionError
from mcdrl_lab.simulation.drawn_conditions import (
    CONDITIONS,
    DRAWN,
    FAR,
    NEAR,
    draw_conditions,
)
from mcdrl_lab.simulation.kept_groups import keep_groups
from mcdrl_lab.simulation.made_sites import MadeSite, generator_of, read_pixels

PARAMETERS_FILE = 'drawn_conditions.json'
TRUTH_FILE = 'conditions.csv'
COLUMNS = ('site', 'image', 'lesion_share', 'case', 'condition', 'strength')
"""Columns of the ground-truth table. ``case`` is 1 for an image with a large lesion, or
with any lesion. If nothing was drawn, ``condition`` is empty and ``strength`` 0."""

GOES_WITH = ('size', 'presence')

# Near and far are left out: they change the lesion's size and move its mask.
DRAWABLE = tuple(CONDITIONS[number] for number in DRAWN if number not in (NEAR, FAR))
DEFAULT = ('blur', 'dark lighting', 'narrow-band imaging', 'mucus', 'blood')
_MIN_STRENGTH = 0.5


@dataclass(frozen=True)
class DrawnSites:
    """What a data set of drawn conditions is made from.

    Args:
        held_out: Site at which conditions are independent of lesions.
        correlation: From 0 (conditions are independent of lesions everywhere) to 1 (at
            training sites exactly the cases have a condition).
        goes_with: ``'size'``: a case is an image whose lesion is larger than the median
            of its site; ``'presence'``: an image with a lesion.
        conditions: Each drawn image gets one of these, with equal probability.
        size: Height and width in pixels to which images are resized, without keeping
            their aspect ratio.
        seed: Seed of all random choices.

    Raises:
        ConversionError: A value out of its range.
    """

    held_out: str
    correlation: float = 1.0
    goes_with: str = 'size'
    conditions: Sequence[str] = DEFAULT
    size: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.correlation <= 1:
            raise ConversionError(
                f'--correlation {self.correlation}: expected a value in [0, 1].'
            )
        if self.goes_with not in GOES_WITH:
            raise ConversionError(
                f'--goes-with {self.goes_with}: expected one of {list(GOES_WITH)}.'
            )
        unknown = [name for name in self.conditions if name not in DRAWABLE]
        if unknown or not self.conditions:
            raise ConversionError(
                f'--conditions {list(self.conditions)}: expected some of '
                f'{list(DRAWABLE)}.'
            )
        if not 32 <= self.size <= 1024:
            raise ConversionError(f'--size {self.size}: expected 32 to 1024 pixels.')

    def chance(self, site: str, case: bool) -> float:
        """Probability that an image gets a condition.

        Args:
            site: Site of the image.
            case: Whether the image is a case, see ``goes_with``.
        """
        if site == self.held_out:
            return 0.5
        return 0.5 + self.correlation / 2 * (1 if case else -1)

    def text(self) -> str:
        """The file that says what a folder holds."""
        return json.dumps(asdict(self), indent=1) + '\n'


def write_drawn_sites(wanted: DrawnSites, source: Path, out: Path) -> dict[str, int]:
    """Write the data set.

    Which images are drawn on, and how, only depends on the settings and an image's site
    and name. A higher correlation keeps all conditions that a lower one drew on cases.

    Args:
        wanted: What to draw.
        source: Folder of sites as the converters write it.
        out: Output folder, in the same layout, with the ground-truth table, and with
            sequences and patients if the source has an index. Ignored pixels stay
            ignored.

    Returns:
        Site -> number of images that a condition was drawn on.

    Raises:
        ConversionError: No such site, a site or an image that cannot be used, or a
            folder that holds something else.
        MaskError: An unreadable mask.
    """
    sites = entries_by_site(source)
    if wanted.held_out not in sites or len(sites) < 2:
        raise ConversionError(
            f'--held-out {wanted.held_out}: {source} holds {list(sites)}; expected '
            'this site and at least one other.'
        )
    parameters = out / PARAMETERS_FILE
    if parameters.is_file() and parameters.read_text('utf-8') != wanted.text():
        raise ConversionError(
            f'{out} holds a data set with other settings, see {PARAMETERS_FILE}. '
            'Choose another folder.'
        )
    if lost := _told_sites(out / TRUTH_FILE) - set(sites):
        raise ConversionError(
            f'{out} holds {", ".join(sorted(lost))}, but {source} does not: '
            f'{TRUTH_FILE} would no longer describe them. Choose another folder.'
        )
    rows: list[dict] = []
    with work_folder(out) as work:
        for site, entries in sites.items():
            rows += _draw_site(wanted, site, entries, work / site)
            if is_new(work / site, out / site):
                put_folder(work / site, out / site)
        images = [entry for entries in sites.values() for entry in entries]
        keep_groups(source, out, zip(images, (row['image'] for row in rows)))
        put_text(csv_text(COLUMNS, rows), out / TRUTH_FILE)
        put_text(wanted.text(), parameters)
    return {
        site: sum(row['site'] == site and row['condition'] != '' for row in rows)
        for site in sites
    }


def _told_sites(path: Path) -> set[str]:
    """Sites in an existing ground-truth table; none without a table."""
    if not path.is_file():
        return set()
    return {row.get('site', '') for row in read_table(path)[1]}


def _draw_site(
    wanted: DrawnSites, site: str, entries: Sequence[Entry], folder: Path
) -> list[dict]:
    new = MadeSite(folder, entries[0])
    masks = [_read_labels(entry, wanted.size) for entry in entries]
    shares = np.array([_lesion_share(labels) for labels in masks])
    with_lesion = shares[shares > 0]
    least = np.median(with_lesion) if len(with_lesion) else 0.0
    cases = shares > (least if wanted.goes_with == 'size' else 0)
    rows = []
    for entry, labels, share, case in zip(entries, masks, shares, cases):
        generator = generator_of(entry, wanted.seed)
        draws = generator.random() < wanted.chance(site, bool(case))
        condition = str(generator.choice(list(wanted.conditions)))
        strength = float(generator.uniform(_MIN_STRENGTH, 1))
        image = _read_image(entry.image, wanted.size)
        if draws:
            number = CONDITIONS.index(condition)
            image, _ = draw_conditions(generator, image, None, {number: strength})
        new.write(entry.image.stem, image, labels)
        rows.append(
            dict(
                site=site,
                image=f'{site}/images/{entry.image.stem}.jpg',
                lesion_share=f'{share:.4f}',
                case=int(case),
                condition=condition if draws else '',
                strength=f'{strength if draws else 0:.3f}',
            )
        )
    return rows


def _read_labels(entry: Entry, size: int) -> np.ndarray:
    """(size, size) uint8 labels, as :func:`read_labels` returns them."""
    labels = read_labels(entry)
    return cv2.resize(labels, (size, size), interpolation=cv2.INTER_NEAREST)


def _lesion_share(labels: np.ndarray) -> float:
    # Computed on 0 and 255, so that existing data sets stay the same to the last digit.
    return float(np.mean(is_lesion(labels).astype(np.uint8) * 255) / 255)


def _read_image(path: Path, size: int) -> np.ndarray:
    """(size, size, 3) uint8, red first."""
    pixels = read_pixels(path)
    smaller = max(pixels.shape[:2]) > size
    kind = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(pixels, (size, size), interpolation=kind)
