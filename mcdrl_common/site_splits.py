"""Training and validation parts of a site that share no near-duplicate frames."""

from __future__ import annotations

from collections.abc import Sequence

SPLITS = ('all', 'train', 'val')


def split_mask(groups: Sequence[str], val_fraction: float) -> list[bool]:
    """Mark the validation images of one site.

    Neighbouring frames of a video look alike, so with a random split validation images
    would be near copies of training images. Instead, the last groups of the site become
    the validation part, until it holds ``val_fraction`` of the images. A group is never
    divided. A last group of more than twice this share is left for training, where an
    earlier one fits better: else a site of one large patient and some small ones would
    be validated on nearly all of its images.

    Args:
        groups: Group of each image (patient or sequence, else the image's own name),
            in the order of the images; the images of a group need not be adjacent.
        val_fraction: Requested share of validation images, in (0, 1).

    Returns:
        One bool per image, True for validation. Each part gets at least one group.

    Raises:
        ValueError: Fewer than two groups.
    """
    order = list(dict.fromkeys(groups))
    if len(order) < 2:
        raise ValueError(
            f'{len(groups)} images in {len(order)} group(s) cannot be split into '
            'training and validation.'
        )
    wanted = val_fraction * len(groups)
    sizes = dict.fromkeys(order, 0)
    for group in groups:
        sizes[group] += 1
    chosen: set[str] = set()
    held = 0
    for group in reversed(order):
        if len(chosen) == len(order) - 1:
            break
        if held + sizes[group] / 2 <= wanted:
            chosen.add(group)
            held += sizes[group]
        elif chosen:
            break
    # Every group is too large: take the smallest, the last of equal ones.
    chosen = chosen or {min(reversed(order), key=sizes.__getitem__)}
    return [group in chosen for group in groups]
