"""EndoSim on disk: five sites in the layout of real ones, with the ground truth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from mcdrl_common.classes_file import write_classes
from mcdrl_common.image_index import INDEX_FILE
from mcdrl_common.json_files import read_json
from mcdrl_lab.data.csv_text import csv_text
from mcdrl_lab.data.output_folder import (
    is_new,
    put_folder,
    put_text,
    work_folder,
)
from mcdrl_lab.data.site_index import (
    COLUMNS,
    index_text,
    merge_rows,
    read_index,
)
from mcdrl_lab.errors import ConversionError

from .drawing import draw
from .hospitals import SITES, Conditions
from .sampling import LESION_PLACES, sample_scene
from .scene import CONFOUNDERS, MASK_VALUES, SURFACE_CONFOUNDERS, Scene

PARAMETERS_FILE = 'endosim.json'
CONFOUNDERS_FILE = 'confounders.csv'

CONFOUNDER_COLUMNS = (
    'site',
    'image',
    'lesion_class',
    *CONFOUNDERS,
    *(f'{name}_on_lesion' for name in SURFACE_CONFOUNDERS),
)
"""Columns of the table of true confounders.

``lesion_class`` is empty for a healthy scene; strengths lie in [0, 1]. The last columns
are 1 if a surface confounder lies, or would lie if present, on the lesion, else 0.
"""

# Increase with every change that draws other images from the same settings.
_DRAWING_VERSION = 2
# Defaults are left out of the settings file: older data sets do not have these options.
_LATER_OPTIONS = {'lesion_places': 'central', 'pairing': 0}
_MIN_SIZE, _MAX_SIZE = 32, 1024
# With larger seeds, two pairs of seed and site could give the same random numbers.
_SEEDS = 2**32


@dataclass(frozen=True)
class Benchmark:
    """What an EndoSim data set is made from.

    Args:
        images_per_site: Images of each of the five sites, from 1.
        size: Height and width of the images in pixels, from 32 to 1024.
        spurious: How far sites differ, from 0 (not at all) to 1.
        seed: Number of the data set, from 0 to below 2 ** 32.
        lesion_places: ``'central'``, or ``'anywhere'`` in the field of view.
        pairing: Which conditions go with which sites and lesion classes, from 0 to
            below 2 ** 32; see :func:`~mcdrl_lab.simulation.hospitals.pairing_of`.

    Raises:
        ConversionError: A value out of its range.
    """

    images_per_site: int = 200
    size: int = 128
    spurious: float = 0.8
    seed: int = 0
    lesion_places: str = 'central'
    pairing: int = 0

    def __post_init__(self) -> None:
        if self.images_per_site < 1:
            raise ConversionError(
                f'--images-per-site {self.images_per_site}: expected at least 1.'
            )
        if not _MIN_SIZE <= self.size <= _MAX_SIZE:
            raise ConversionError(
                f'--size {self.size}: expected {_MIN_SIZE} to {_MAX_SIZE} pixels.'
            )
        if not 0 <= self.spurious <= 1:
            raise ConversionError(
                f'--spurious {self.spurious}: expected a value in [0, 1].'
            )
        if not 0 <= self.seed < _SEEDS:
            raise ConversionError(f'--seed {self.seed}: expected 0 to {_SEEDS - 1}.')
        if self.lesion_places not in LESION_PLACES:
            raise ConversionError(
                f'--lesion-places {self.lesion_places}: expected one of '
                f'{list(LESION_PLACES)}.'
            )
        if not 0 <= self.pairing < _SEEDS:
            raise ConversionError(
                f'--pairing {self.pairing}: expected 0 to {_SEEDS - 1}.'
            )

    def scene(self, site: str, index: int) -> Scene:
        """The scene of an image, to draw it again or under other conditions.

        Args:
            site: One of ``SITES``.
            index: Number of the image in its site, which is its file's name.
        """
        conditions = Conditions(site, self.spurious, self.pairing)
        return sample_scene(self.seed, index, conditions, self.lesion_places)

    def text(self) -> str:
        """Content of the settings file."""
        values = {'drawing_version': _DRAWING_VERSION, **asdict(self)}
        for name, default in _LATER_OPTIONS.items():
            if values[name] == default:
                del values[name]
        return json.dumps(values, indent=1) + '\n'

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that identify this data set."""
        return hashlib.sha256(self.text().encode()).hexdigest()[:12]

    @classmethod
    def read(cls, folder: Path) -> Benchmark:
        """Read the settings of the data set in a folder.

        Args:
            folder: Where it was written.

        Raises:
            ConversionError: The folder has no data set, or one of another version.
        """
        path = Path(folder) / PARAMETERS_FILE
        try:
            values = read_json(path)
            version = values.pop('drawing_version')
            benchmark = cls(**values)
        except OSError as error:
            raise ConversionError(f'{path}: {error.strerror}.') from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ConversionError(
                f'{path}: not the parameters of an EndoSim data set.'
            ) from None
        if version != _DRAWING_VERSION:
            raise ConversionError(
                f'{path}: drawn by version {version}; this is version '
                f'{_DRAWING_VERSION}, which draws other images. Write the data set '
                'again, to another folder.'
            )
        return benchmark


def write_benchmark(
    benchmark: Benchmark,
    out: Path,
    progress: Callable[[range, str], Iterable[int]] | None = None,
) -> dict[str, str]:
    """Write a data set.

    All sites are first drawn in a temporary folder and compared with existing ones: a
    second call changes nothing, and completes a call that was killed.

    Args:
        benchmark: What to draw.
        out: Output folder; other sites may be there already.
        progress: Takes the numbers of a site's images and the site, and yields the
            numbers one by one.

    Returns:
        Site -> ``'written'`` or ``'up to date'``.

    Raises:
        ConversionError: The folder holds another EndoSim data set, or sites of the
            same names that differ.
    """
    out = Path(out)
    parameters = out / PARAMETERS_FILE
    _check_parameters(benchmark, parameters)
    with work_folder(out) as work:
        rows = {}
        for site in SITES:
            numbers: Iterable[int] = range(benchmark.images_per_site)
            if progress is not None:
                numbers = progress(range(benchmark.images_per_site), site)
            rows[site] = _draw_site(benchmark, site, numbers, work / 'sites' / site)
        new = [site for site in SITES if is_new(work / 'sites' / site, out / site)]
        index = out / INDEX_FILE
        table = read_index(index) if index.is_file() else []
        for site in new:
            put_folder(work / 'sites' / site, out / site)
        for site in SITES:
            entries = [entry for entry, _ in rows[site]]
            table = merge_rows(table, site, entries)
        put_text(index_text(table), index)
        truths = [truth for site in SITES for _, truth in rows[site]]
        put_text(csv_text(CONFOUNDER_COLUMNS, truths), out / CONFOUNDERS_FILE)
        put_text(benchmark.text(), parameters)
    return {site: 'written' if site in new else 'up to date' for site in SITES}


def _check_parameters(benchmark: Benchmark, path: Path) -> None:
    if not path.exists():
        return
    found = Benchmark.read(path.parent)
    wanted, there = asdict(benchmark), asdict(found)
    differing = [name for name in wanted if wanted[name] != there[name]]
    if differing:
        has = ', '.join(f'{name}={there[name]}' for name in differing)
        asked = ', '.join(f'{name}={wanted[name]}' for name in differing)
        raise ConversionError(
            f'{path.parent} holds EndoSim with {has}; asked for {asked}. Choose '
            'another folder.'
        )


def _draw_site(
    benchmark: Benchmark, site: str, numbers: Iterable[int], folder: Path
) -> list[tuple[dict[str, str], dict[str, str]]]:
    """Draw a site's images; returns their index rows and ground-truth rows."""
    for part in ('images', 'masks'):
        (folder / part).mkdir(parents=True)
    write_classes(folder, MASK_VALUES)
    rows = []
    for number in numbers:
        scene = benchmark.scene(site, number)
        image, mask = draw(scene, size=benchmark.size)
        name = f'{number:05d}.png'
        _write_png(image[..., ::-1], folder / 'images' / name)
        _write_png(mask, folder / 'masks' / name)
        rows.append((_entry(site, name, mask), _truth(site, name, scene)))
    return rows


def _write_png(pixels: np.ndarray, path: Path) -> None:
    done, code = cv2.imencode('.png', pixels, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise ConversionError(f'{path}: could not be encoded as PNG.')
    path.write_bytes(code.tobytes())


def _entry(site: str, name: str, mask: np.ndarray) -> dict[str, str]:
    known = {
        'site': site,
        'image': f'{site}/images/{name}',
        'mask': f'{site}/masks/{name}',
        'classes': ';'.join(MASK_VALUES[v] for v in np.unique(mask).tolist() if v),
        'foreground': f'{(mask > 0).mean():.6f}',
        'height': str(mask.shape[0]),
        'width': str(mask.shape[1]),
    }
    return {column: known.get(column, '') for column in COLUMNS}


def _truth(site: str, name: str, scene: Scene) -> dict[str, str]:
    lesion = '' if scene.lesion is None else scene.lesion.name
    row = {'site': site, 'image': f'{site}/images/{name}', 'lesion_class': lesion}
    row |= {name: f'{strength:.6f}' for name, strength in scene.confounders.items()}
    for surface in SURFACE_CONFOUNDERS:
        there = scene.placements[surface].on_lesion
        row[f'{surface}_on_lesion'] = str(int(there))
    return row
