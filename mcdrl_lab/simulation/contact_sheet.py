"""Overview pictures of what EndoSim draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from mcdrl_common.written_files import OutputError, check_place
from mcdrl_lab.pictures import jpeg

from .drawing import draw
from .hospitals import SITES, Conditions
from .sampling import sample_scene
from .scene import CONFOUNDER_PROMPTS, LESION_CLASSES, Confounders, Scene, do

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)

_SIZE = 112
_LABEL_WIDTH, _LABEL_HEIGHT, _GAP = 150, 24, 12
_OUTLINE = (0, 255, 0)
_QUALITY = 82
_SEED = 0


def draw_pictures(folder: Path) -> dict[Path, bytes]:
    """Draw the pictures of the documentation.

    Args:
        folder: Where they are to be written.

    Returns:
        File -> its content, a JPEG.

    Raises:
        OutputError: Another picture is there, or nothing can be written.
    """
    sheets = {
        'endosim_confounders.jpg': confounder_sheet,
        'endosim_lesions.jpg': lesion_sheet,
        'endosim_sites.jpg': site_sheet,
    }
    check_place(folder / next(iter(sheets)))
    drawn = {folder / name: jpeg(sheet(), _QUALITY) for name, sheet in sheets.items()}
    for path, content in drawn.items():
        if path.exists() and path.read_bytes() != content:
            raise OutputError(
                f'{path}: in the way: another picture, which is never replaced. '
                'Choose another --pictures, or move it away.'
            )
    return drawn


def confounder_sheet() -> np.ndarray:
    """Two scenes per row, each under one confounder of growing strength.

    Returns:
        (height, width, 3) uint8, red first.
    """
    scenes = _scenes()
    rows = []
    for confounder, words in CONFOUNDER_PROMPTS.items():
        cells = []
        for _ in range(2):
            scene = _plain(next(s for s in scenes if s.lesion is not None))
            cells += [_image(do(scene, **{confounder: s})) for s in STRENGTHS]
        rows.append((words, cells))
    return _sheet(rows, [f'{s:g}' for s in STRENGTHS] * 2, gap_after=len(STRENGTHS))


def lesion_sheet() -> np.ndarray:
    """Scenes of every lesion class, without confounders; some with their outline.

    Returns:
        (height, width, 3) uint8, red first.
    """
    rows = []
    for name in (*LESION_CLASSES, None):
        scenes = _scenes()
        chosen = [
            _plain(next(s for s in scenes if (s.lesion and s.lesion.name) == name))
            for _ in range(6)
        ]
        cells = [_image(scene) for scene in chosen]
        cells += [_outlined(scene) for scene in chosen[:4]]
        rows.append((name or 'no lesion', cells))
    heads = [''] * 6 + ['outline of mask'] + [''] * 3
    return _sheet(rows, heads, gap_after=6)


def site_sheet() -> np.ndarray:
    """The first images of every site, without shift and at full shift.

    Returns:
        (height, width, 3) uint8, red first.
    """
    rows = []
    for site in SITES:
        cells = [
            _image(sample_scene(_SEED, index, Conditions(site, spurious)))
            for spurious in (0.0, 1.0)
            for index in range(5)
        ]
        rows.append((site, cells))
    heads = ['spurious = 0'] + [''] * 4 + ['spurious = 1'] + [''] * 4
    return _sheet(rows, heads, gap_after=5)


def _scenes() -> Iterator[Scene]:
    index = 0
    while True:
        yield sample_scene(_SEED, index)
        index += 1


def _plain(scene: Scene) -> Scene:
    return replace(scene, confounders=Confounders())


def _image(scene: Scene) -> np.ndarray:
    return draw(scene, size=_SIZE)[0]


def _outlined(scene: Scene) -> np.ndarray:
    image, mask = draw(scene, size=_SIZE)
    inside = (mask > 0).astype(np.uint8)
    border = cv2.dilate(inside, np.ones((3, 3), np.uint8)) - inside
    image[border > 0] = _OUTLINE
    return image


def _sheet(
    rows: Sequence[tuple[str, Sequence[np.ndarray]]],
    heads: Sequence[str],
    gap_after: int,
) -> np.ndarray:
    count = len(rows[0][1])
    width = _LABEL_WIDTH + count * _SIZE + _GAP
    sheet = np.full((_LABEL_HEIGHT + len(rows) * _SIZE, width, 3), 255, np.uint8)
    lefts = [_LABEL_WIDTH + k * _SIZE + _GAP * (k >= gap_after) for k in range(count)]
    for left, head in zip(lefts, heads, strict=True):
        _write(sheet, head, left + 4, _LABEL_HEIGHT - 8)
    for row, (label, cells) in enumerate(rows):
        top = _LABEL_HEIGHT + row * _SIZE
        _write(sheet, label, 6, top + _SIZE // 2)
        for left, cell in zip(lefts, cells, strict=True):
            sheet[top : top + _SIZE, left : left + _SIZE] = cell
    return sheet


def _write(sheet: np.ndarray, text: str, x: int, y: int) -> None:
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(sheet, text, (x, y), font, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
