"""Check that the lesion classes of the data and of the prompts are the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def label_mismatch(
    labels: Sequence[str], lesion_classes: Iterable[str], prompts: Sequence[str]
) -> str | None:
    """Message on what does not agree and what to do; None if all does.

    Each lesion class of the data needs its prompt, by position or by name.

    Args:
        labels: The data's classes without the background, in the order of their labels.
        lesion_classes: Names of the lesion classes that the sites may show.
        prompts: Classes of the prompt set.
    """
    labels, prompts = tuple(labels), tuple(prompts)
    if len(labels) == len(prompts):
        # Matched by position: the names may be worded in another way.
        if labels != prompts and sorted(labels) == sorted(prompts):
            return (
                f'The training data labels its lesion classes in the order {labels}, '
                f'but prompts.classes is {prompts}: each class would be pulled to '
                "another one's text. Write prompts.classes in the order of the labels."
            )
        return None
    missing = sorted(set(lesion_classes) - set(prompts))
    if missing:
        return (
            f'The training sites hold lesion classes {missing} that have no prompt: '
            f'add them to prompts.classes, which names {list(prompts)}, or correct '
            'lesion_classes of the sites.'
        )
    return None
