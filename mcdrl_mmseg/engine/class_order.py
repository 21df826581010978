"""Compares the labels that a checkpoint was trained with to those of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def trained_classes(checkpoint: Mapping) -> list[str]:
    """Class names in the order of their labels, as MMEngine stores them.

    Args:
        checkpoint: Its content.

    Returns:
        The names; empty if the checkpoint has none.
    """
    meta = checkpoint.get('meta')
    data = meta.get('dataset_meta') if isinstance(meta, Mapping) else None
    classes = data.get('classes') if isinstance(data, Mapping) else None
    return [*map(str, classes)] if isinstance(classes, (list, tuple)) else []


def moved_class(trained: Sequence[str], labelled: Sequence[str]) -> str | None:
    """Message if a class of the training has another label in a data set, or None.

    Different names alone are no problem: a polyp may be called lesion elsewhere.

    Args:
        trained: Classes of a checkpoint, in the order of their labels.
        labelled: Classes of the data set, in the order of its labels.
    """
    for label, name in enumerate(trained):
        if name in labelled and labelled.index(name) != label:
            return (
                f'was trained with the classes {tuple(trained)}, but the data set has '
                f'{tuple(labelled)}: label {label} would mean another class. Give '
                'metainfo.classes in the order of the training.'
            )
    return None
