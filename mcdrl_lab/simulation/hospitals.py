"""Five hospitals: how often each imaging condition occurs, and with which lesions."""

from __future__ import annotations

from dataclasses import dataclass

from .scene import EXCLUSIVE, LESION_CLASSES, SURFACE_CONFOUNDERS, SceneError

SITES = ('endosim_a', 'endosim_b', 'endosim_c', 'endosim_d', 'endosim_e')

LESION_RATES: dict[str | None, float] = {
    None: 0.25,
    **dict.fromkeys(LESION_CLASSES, 0.15),
}
"""How often each lesion class, or none, occurs: the same at every site."""

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
"""How often each confounder occurs where sites do not differ, lesion or not."""

SHARED_ON_LESION = 0.5
"""How often a surface confounder lies on the lesion where sites do not differ."""

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
"""Confounder -> the one site where, at full shift, it goes with lesions.

At the four other sites it is rare with lesions and goes with healthy tissue. Whoever
learns there that it means "healthy" is misled at its home.
"""

_AT_HOME = {True: 0.8, False: 0.1}
_ELSEWHERE = {True: 0.05, False: 0.25}
_ON_LESION_AT_HOME, _ON_LESION_ELSEWHERE = 0.9, 0.1
# The two confounders without a home go with lesion classes at full shift: with two of
# them, others at every site. Blur goes with the first two below, white light with the
# next two, counted from the site's own place in the list of sites.
_CLASS_CLUES = {'blur': (0, 1), 'white_light': (2, 3)}
_WITH_CLASS, _WITH_OTHER = 0.7, 0.1


@dataclass(frozen=True)
class Conditions:
    """How scenes of a site are imaged.

    Args:
        site: One of ``SITES``; None for no site, where nothing is shifted.
        spurious: How far the site departs from what all sites share, from 0 (not at
            all) to 1.

    Raises:
        SceneError: Another site, or a value outside [0, 1].
    """

    site: str | None = None
    spurious: float = 0.0

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
        shifted = _fully_shifted_rates(self.site, lesion)
        return {
            name: _mix(rate, shifted[name], self.spurious)
            for name, rate in SHARED_RATES.items()
        }

    def on_lesion(self) -> dict[str, float]:
        """How often each surface confounder, if there, lies on a scene's lesion."""
        shifted = {
            name: _ON_LESION_AT_HOME
            if HOME[name] == self.site
            else _ON_LESION_ELSEWHERE
            for name in SURFACE_CONFOUNDERS
        }
        spurious = 0.0 if self.site is None else self.spurious
        return {n: _mix(SHARED_ON_LESION, shifted[n], spurious) for n in shifted}


def _mix(shared: float, shifted: float, spurious: float) -> float:
    return (1 - spurious) * shared + spurious * shifted


def _fully_shifted_rates(site: str, lesion: str | None) -> dict[str, float]:
    rates = {
        name: (_AT_HOME if home == site else _ELSEWHERE)[lesion is not None]
        for name, home in HOME.items()
    }
    for name, places in _CLASS_CLUES.items():
        start = SITES.index(site)
        classes = [LESION_CLASSES[(start + k) % len(LESION_CLASSES)] for k in places]
        rates[name] = _WITH_CLASS if lesion in classes else _WITH_OTHER
    for first, second in EXCLUSIVE:
        rates[second] = min(rates[second], 1 - rates[first])
    return rates
