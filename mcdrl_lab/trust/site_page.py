"""The HTML page of a site check: one self-contained file."""

from __future__ import annotations

import datetime
import json
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mcdrl_common.atomic_write import write_text
from mcdrl_common.written_files import WrittenFiles, check_noted
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.html_page import is_replaceable, render_page
from mcdrl_lab.pictures import image_uri

from .drift import ConditionDrift, describe_drift
from .site_check import KIND, CheckedImage, SiteCheck

PAGE, DATA = 'site_check.html', 'site_check.json'
_SIDE = 480
_FEW_IMAGES = 20


def check_replaceable(
    folder: Path, made_of: Sequence[str], overwrite: bool = False
) -> None:
    """Refuse to overwrite other files, before anything is computed.

    Args:
        folder: Folder of the results.
        made_of: See :func:`~mcdrl_common.written_files.check_renewable`.
        overwrite: Whether the check of another site may be replaced.

    Raises:
        ProtocolError: ``folder`` is a file, or has a file with the name of a result
            that is no site check.
        OutputError: It has the check of another site.
    """
    if folder.exists() and not folder.is_dir():
        raise ProtocolError(f'{folder} is a file: set --out to a folder.')
    for name in (PAGE, DATA):
        path = folder / name
        if not is_replaceable(path, KIND):
            raise ProtocolError(
                f'{path} exists and is not a site check. It is not replaced: choose '
                'another folder with --out.'
            )
        # Results of older versions do not say what they were made from.
        if not overwrite:
            check_noted(path, made_of)


def write_check(
    check: SiteCheck,
    folder: Path,
    shown: Sequence[tuple[CheckedImage, np.ndarray]],
    low_dice: float,
    made_of: Sequence[str] = (),
) -> Path:
    """Write page and JSON file.

    Args:
        check: The result of the site check.
        folder: Folder to write to.
        shown: Images with overlays, (H, W, 3) uint8, red first.
        low_dice: Expected Dice below which an image is flagged.
        made_of: See :func:`check_replaceable`.

    Returns:
        Path of the page.
    """
    write_text(folder / DATA, json.dumps(check.to_dict(low_dice), allow_nan=False))
    write_text(folder / PAGE, render(check, shown, low_dice))
    for name in (DATA, PAGE):
        WrittenFiles(folder).add(folder / name, made_of)
    return folder / PAGE


def render(
    check: SiteCheck, shown: Sequence[tuple[CheckedImage, np.ndarray]], low_dice: float
) -> str:
    """The page as HTML; every text in it is escaped.

    Args:
        check: See :func:`write_check`.
        shown: See :func:`write_check`.
        low_dice: See :func:`write_check`.
    """
    return render_page(
        'site_check.html.j2',
        # The page uses the report's styles.
        ['mcdrl_lab.trust', 'mcdrl_lab.results.html_report'],
        generator=KIND,
        date=datetime.date.today().isoformat(),
        checkpoint=Path(check.checkpoint).name,
        sites=list(
            zip(check.reference.sites, check.reference.counts.astype(int), strict=True)
        ),
        count=len(check.images),
        unusual=round(100 * check.unusual),
        words=words(check),
        bars=[_bar(drift) for drift in _by_share(check.conditions)],
        dice=_dice(check, low_dice),
        notes=notes(check),
        shown=[_shown(image, picture, low_dice) for image, picture in shown],
        problems=check.problems,
        command=shlex.join(['python', '-m', 'mcdrl_lab', *sys.argv[1:]]),
    )


def words(check: SiteCheck) -> list[str]:
    """One sentence for each condition that differs.

    Args:
        check: The site check.
    """
    count = len(check.reference.sites)
    return [
        f'{describe_drift(drift, count)} (mean {abs(drift.effect):.1f} standard '
        f'deviations {"above" if drift.differs > 0 else "below"} the nearest, p '
        f'{_p(drift.p_holm)})'
        for drift in check.differing
    ]


def notes(check: SiteCheck) -> list[str]:
    """Warnings about the reliability of the numbers.

    Args:
        check: The site check.
    """
    found = []
    if len(check.images) == 1:
        found.append('One image cannot be tested as a site; it is only compared.')
    elif len(check.images) < _FEW_IMAGES:
        found.append(
            f'{len(check.images)} images are few: a difference may be missed. Use '
            f'{_FEW_IMAGES} or more.'
        )
    if check.all_equal:
        found.append(
            'All images look the same to the network: check for copies of one image, '
            'or for an empty export.'
        )
    if len(check.reference.sites) == 1:
        found.append(
            'The checkpoint was trained on one site, so it does not show how much '
            'hospitals normally differ.'
        )
    return found


def _by_share(conditions: Sequence[ConditionDrift]) -> list[ConditionDrift]:
    def key(drift: ConditionDrift) -> tuple[bool, float]:
        share = max(drift.above, drift.below)
        return not drift.differs, -abs(drift.effect) if drift.differs else -share

    return sorted(conditions, key=key)


def _bar(drift: ConditionDrift) -> dict[str, Any]:
    return dict(
        name=drift.name,
        above=round(100 * drift.above, 1),
        below=round(100 * drift.below, 1),
        differs=drift.differs,
        # Two digits: 0.46, too small to count, must not appear as 0.5, which counts.
        effect=f'{drift.effect:+.2f}'.replace('-', '\u2212')
        if round(drift.effect, 2)
        else '0',
        p=_p(drift.p_holm),
    )


def _p(value: float | None) -> str:
    if value is None:
        return 'not tested'
    if value < 0.001:
        return '< 0.001'
    return '1' if value > 0.9995 else f'{value:.3f}'


def _dice(check: SiteCheck, low_dice: float) -> dict[str, Any] | None:
    if check.dice is None:
        return None
    (predictor, model), *_ = check.dice_models.items()
    return dict(
        mean=f'{100 * check.dice.mean:.0f}',
        low=f'{100 * check.dice.low:.0f}',
        high=f'{100 * check.dice.high:.0f}',
        flagged=int((check.dice.images < low_dice).sum()),
        threshold=f'{100 * low_dice:.0f}',
        predictor=predictor,
        ranks=[(n, _rank(m.rank_correlation)) for n, m in check.dice_models.items()],
        images=model.images,
        sites=[(s, f'{round(100 * e):+d}') for s, e in model.site_errors.items()],
    )


def _rank(value: float) -> str:
    return 'unknown' if math.isnan(value) else f'{value:.2f}'


def _shown(image: CheckedImage, picture: np.ndarray, low_dice: float) -> dict[str, Any]:
    height, width = picture.shape[:2]
    scale = min(1.0, _SIDE / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    dice = image.expected_dice
    return dict(
        uri=image_uri(small),
        width=size[0],
        height=size[1],
        name=image.file.path.name
        + ('' if image.number is None else f', image {image.number}'),
        unusual=image.flag.unusual,
        distance=f'{image.flag.distance:.1f}',
        more=image.flag.more,
        less=image.flag.less,
        dice=None if dice is None else f'{100 * dice:.0f}',
        low=dice is not None and dice < low_dice,
    )
