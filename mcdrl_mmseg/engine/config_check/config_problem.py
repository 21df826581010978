"""A problem of a config: key, description and remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mcdrl_common import InputError


@dataclass(frozen=True)
class ConfigProblem:
    """One problem of a config.

    Args:
        place: Full key, as ``model.decode_head.intervention.num_layers``.
        what: What is wrong with it, as a sentence.
        remedy: What to do, as a sentence.
    """

    place: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f'{self.place}: {self.what} {self.remedy}'.rstrip()


class ConfigCheckError(InputError, ValueError):
    """A config with problems; the message names all of them.

    Args:
        problems: The problems.
        path: The config's file, if it has one.
    """

    def __init__(self, problems: Sequence[ConfigProblem], path: str | None) -> None:
        many = f'{len(problems)} problem{"" if len(problems) == 1 else "s"}'
        lines = [f'{many} in {path or "the config"}:', *map(str, problems)]
        super().__init__('\n  '.join(lines))
        self.problems = list(problems)


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.7) -> str | None:
    """The known name that is most similar to a given name, if similar enough.

    Args:
        name: The given name.
        known: The known names.
        cutoff: Least similarity, 0 to 1.
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return near[0] if near else None
