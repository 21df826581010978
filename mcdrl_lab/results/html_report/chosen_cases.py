"""Chooses the images of a test to show: best, median and worst."""

from __future__ import annotations

from collections.abc import Sequence


def choose_cases(images: Sequence[dict]) -> dict[str, dict]:
    """Choose cases by their Dice, not by hand.

    Args:
        images: Per-image records of one site and run; those without Dice are left
            out.

    Returns:
        ``'best'``, ``'median'`` and ``'worst'`` -> record, in this order; no image
        twice. The median of an even number is the lower of the two middle images. Equal
        scores are ordered by name.
    """
    scored = [image for image in images if image.get('dice') is not None]
    scored.sort(key=lambda image: (image['dice'], image['image']))
    if not scored:
        return {}
    places = {
        'best': len(scored) - 1,
        'median': (len(scored) - 1) // 2,
        'worst': 0,
    }
    cases: dict[str, dict] = {}
    taken: set[int] = set()
    # Best and worst first: with two images the median would take one of them.
    for name in ('best', 'worst', 'median'):
        if places[name] not in taken:
            taken.add(places[name])
            cases[name] = scored[places[name]]
    return {name: cases[name] for name in places if name in cases}
