"""Five hospitals: how often each imaging condition occurs, and with which lesions."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from .scene import EXCLUSIVE, LESION_CLASSES, SURFACE_CONFOUNDERS, SceneError

SITES = ('endosim_a', 'endosim_b', 'endosim_c', 'endosim_d', 'endosim_e')

LESION_RATES: dict[str | None, float] = {
    None: 0.25,
    **dict.fromkeys(LESION_CLASSES, 0.15),
}
"""How often each lesion class, or no lesion, occurs: the same at every site."""

SHARED_RATES = {
    'blur': 0.15,
    'artifacts': 0.15,
    'bright': 0.12,
    'dark': 0.12,
    'uneven': 0.15,
    'nbi': 0.2,
    'white_light': 0.35,
    'near': 0.15,
    'far': 0.15,
    'mucus': 0.15,
    'blood': 0.15,
    'reflection': 0.2,
}
"""How often each confounder occurs without shift, whether or not there is a lesion."""

SHARED_ON_LESION = 0.5
"""How often a surface confounder lies on the lesion without shift."""

HOME = {
    'nbi': 'endosim_a',
    'mucus': 'endosim_a',
    'dark': 'endosim_b',
    'artifacts': 'endosim_b',
    'bright': 'endosim_c',
    'reflection': 'endosim_c',
    'far': 'endosim_d',
    'uneven': 'endosim_d',
    'near': 'endosim_e',
    'blood': 'endosim_e',
}
"""Confounder -> its home: the one site where, at full shift, it goes with lesions.

At the four other sites it is rare with lesions and goes with healthy tissue. A model
that learns there that it means "healthy" fails at its home.
"""

_AT_HOME = {True: 0.8, False: 0.1}
_ELSEWHERE = {True: 0.05, False: 0.25}
_ON_LESION_AT_HOME, _ON_LESION_ELSEWHERE = 0.9, 0.1
# At full shift each of the two confounders without a home goes with two lesion classes,
# which differ from site to site. The numbers are positions in the list of classes,
# counted from the site's position in the list of sites, modulo the number of classes.
_CLASS_CLUES = {'blur': (0, 1), 'white_light': (2, 3)}
_WITH_CLASS, _WITH_OTHER = 0.7, 0.1


@dataclass(frozen=True)
class Pairing:
    """Which conditions go with lesions at which site, and which with lesion classes.

    Args:
        home: Confounder -> the site where it goes with lesions, as :data:`HOME`.
        class_clues: Each of the two other confounders -> the two lesion classes that it
            goes with: positions in ``classes``, counted from the site's position in the
            list of sites.
        classes: Lesion classes, in the order of these positions.
    """

    home: Mapping[str, str]
    class_clues: Mapping[str, tuple[int, int]]
    classes: tuple[str, ...]

    def classes_of(self, name: str, site: str) -> tuple[str, str]:
        """The lesion classes that a confounder without a home goes with at a site."""
        first, second = (
            self.classes[(SITES.index(site) + place) % len(self.classes)]
            for place in self.class_clues[name]
        )
        return first, second


@lru_cache(maxsize=64)
def pairing_of(number: int) -> Pairing:
    """The pairs of condition and site, and of condition and lesion class.

    Args:
        number: 0 for the pairs of the documentation. Any other number draws pairs in
            which no condition has its home of the documentation. Every site is home to
            two conditions that can occur together.
    """
    if number == 0:
        return Pairing(HOME, _CLASS_CLUES, LESION_CLASSES)
    generator = random.Random(number)

    def shuffled(names: tuple[str, ...]) -> list[str]:
        # Python guarantees the same random() on every version, but not shuffle().
        return sorted(names, key=lambda _: generator.random())

    while True:
        names = shuffled(tuple(SHARED_RATES))
        clues, at_home = names[:2], names[2:]
        home = {name: SITES[place // 2] for place, name in enumerate(at_home)}
        if _are_other(home):
            break
    places = dict(zip(clues, _CLASS_CLUES.values()))
    return Pairing(home, places, tuple(shuffled(LESION_CLASSES)))


def _are_other(home: Mapping[str, str]) -> bool:
    """Whether no pair is the documentation's, and no two pairs exclude each other."""
    if any(name not in home for name in _CLASS_CLUES):
        return False
    if any(home.get(name) == site for name, site in HOME.items()):
        return False
    for first, second in EXCLUSIVE:
        # Both or neither: without a home, they go with different classes.
        if (first in home) != (second in home):
            return False
        if first in home and home[first] == home[second]:
            return False
    return True


@dataclass(frozen=True)
class Conditions:
    """How scenes of a site are imaged.

    Args:
        site: One of ``SITES``; None for no site, without any shift.
        spurious: How far the site departs from the shared rates, from 0 (not at all) to
            1.
        pairing: See :func:`pairing_of`.

    Raises:
        SceneError: Another site, or a value outside [0, 1].
    """

    site: str | None = None
    spurious: float = 0.0
    pairing: int = 0

    def __post_init__(self) -> None:
        if self.site is not None and self.site not in SITES:
            raise SceneError(f'site {self.site!r}: expected one of {list(SITES)}.')
        if not 0 <= self.spurious <= 1:
            raise SceneError(f'spurious={self.spurious!r}: expected a value in [0, 1].')

    def rates(self, lesion: str | None) -> dict[str, float]:
        """How often each confounder occurs.

        Args:
            lesion: Lesion class of the scene; None for a healthy one.

        Returns:
            Confounder -> probability, in the order of the prompt set.
        """
        if self.site is None:
            return dict(SHARED_RATES)
        shifted = _fully_shifted_rates(self.site, lesion, pairing_of(self.pairing))
        return {
            name: _mix(rate, shifted[name], self.spurious)
            for name, rate in SHARED_RATES.items()
        }

    def on_lesion(self) -> dict[str, float]:
        """How often each surface confounder, if present, lies on a scene's lesion."""
        home = pairing_of(self.pairing).home
        shifted = {
            name: _ON_LESION_AT_HOME
            if home[name] == self.site
            else _ON_LESION_ELSEWHERE
            for name in SURFACE_CONFOUNDERS
            if name in home
        }
        spurious = 0.0 if self.site is None else self.spurious
        # Confounders without a home keep the shared rate.
        return {
            name: _mix(SHARED_ON_LESION, shifted.get(name, SHARED_ON_LESION), spurious)
            for name in SURFACE_CONFOUNDERS
        }


def _mix(shared: float, shifted: float, spurious: float) -> float:
    return (1 - spurious) * shared + spurious * shifted


def _fully_shifted_rates(
    site: str, lesion: str | None, pairing: Pairing
) -> dict[str, float]:
    rates = {
        name: (_AT_HOME if home == site else _ELSEWHERE)[lesion is not None]
        for name, home in pairing.home.items()
    }
    for name in pairing.class_clues:
        classes = pairing.classes_of(name, site)
        rates[name] = _WITH_CLASS if lesion in classes else _WITH_OTHER
    for first, second in EXCLUSIVE:
        rates[second] = min(rates[second], 1 - rates[first])
    return rates
