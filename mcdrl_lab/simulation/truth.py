"""The true conditions of an EndoSim image, from the table in its data set."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from mcdrl_common.image_index import read_table

from .scene import CONFOUNDER_PROMPTS
from .simulated_sites import CONFOUNDERS_FILE


def true_confounders(image: str | Path) -> tuple[str, ...] | None:
    """Prompts of the imaging conditions that an image was drawn with.

    Args:
        image: A file of a data set as ``python -m mcdrl_lab simulate`` writes
            it, ``ROOT/SITE/images/NAME``.

    Returns:
        As ``('blur', 'dark lighting')``, empty if there are none; None if the image is
        not from EndoSim.
    """
    image = Path(image).resolve()
    table = image.parents[min(2, len(image.parents) - 1)] / CONFOUNDERS_FILE
    if not table.is_file():
        return None
    return _read(table, table.stat().st_mtime_ns).get(
        image.relative_to(table.parent).as_posix()
    )


@lru_cache(maxsize=4)
def _read(table: Path, changed: int) -> dict[str, tuple[str, ...]]:
    _, rows = read_table(table)
    return {
        row['image']: tuple(
            words for name, words in CONFOUNDER_PROMPTS.items() if float(row[name]) > 0
        )
        for row in rows
    }
