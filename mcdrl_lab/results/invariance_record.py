"""Measured invariance of a model, as a JSON line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from mcdrl_common.json_files import is_number

from .invariance_scores import PairScores, overall_scores

SCHEMA = 1
FEATURES = ('F', 'F_ca')
"""Probed features: before and after the intervention."""

_LATER_KEYS = ('data', 'settings')


@dataclass(frozen=True)
class InvarianceRecord:
    """Invariance of one trained model.

    Args:
        method: Name of the method.
        held_out: Held-out site of its training; the paired scenes are from this site.
        seed: Random seed of its training.
        spurious: How far the sites of its data set differ.
        pairs: Confounder -> scores of predictions without and with it.
        probes: Label (site, lesion or confounder) -> ``'F'``, ``'F_ca'`` and
            ``'chance'`` -> balanced accuracy; None without probes, as for a model
            without an intervention.
        probe_scenes: Number of scenes of each probe.
        data: Fingerprint of the data set, see :attr:`Benchmark.fingerprint
            <mcdrl_lab.simulation.simulated_sites.Benchmark.fingerprint>`; empty in
            older records.
        settings: First twelve digits of the ``config_hash`` of its run; empty if
            unknown.
        schema: Version of this layout.

    Raises:
        ValueError: Another schema.
    """

    method: str
    held_out: str
    seed: int
    spurious: float
    pairs: Mapping[str, PairScores]
    probes: Mapping[str, Mapping[str, float]] | None
    probe_scenes: int
    data: str = ''
    settings: str = ''
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(
                f'schema={self.schema!r} is not supported; this version reads schema '
                f'{SCHEMA}.'
            )

    @property
    def key(self) -> tuple[str, str, int, float]:
        """Unique key of the model: method, held-out site, seed, spurious."""
        return self.method, self.held_out, self.seed, self.spurious

    @property
    def overall(self) -> PairScores:
        """Mean over confounders."""
        return overall_scores(self.pairs)

    def probe_mean(self, names: tuple[str, ...], feature: str) -> float:
        """Mean accuracy of some probes; NaN for a record without probes.

        Args:
            names: Labels of the probes.
            feature: ``'F'`` or ``'F_ca'``.
        """
        if self.probes is None:
            return math.nan
        return sum(self.probes[name][feature] for name in names) / len(names)

    def to_json(self) -> str:
        """The record as one line of strict JSON; NaN becomes null."""
        values = asdict(self)
        values['pairs'] = {
            name: {
                key: None if math.isnan(value) else round(value, 6)
                for key, value in scores.items()
            }
            for name, scores in values['pairs'].items()
        }
        for name in _LATER_KEYS:
            if not values[name]:
                # Left out if empty, so that a record reads as in older versions.
                del values[name]
        return json.dumps(values, allow_nan=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> InvarianceRecord:
        """Make a record from one parsed line.

        Args:
            values: The parsed JSON object.

        Raises:
            ValueError: It is not such a record.
        """
        names = {item.name for item in fields(cls)}
        if not isinstance(values, Mapping) or {*values, *_LATER_KEYS} != names:
            raise ValueError(f'an invariance record needs the keys {sorted(names)}.')
        _check_types(values)
        pairs = {}
        for name, scores in values['pairs'].items():
            known: dict[str, Any] = {
                key: math.nan if value is None else value
                for key, value in scores.items()
            }
            pairs[name] = PairScores(**known)
        return cls(**{**values, 'pairs': pairs})


def _check_types(values: Mapping[str, Any]) -> None:
    """Refuse values of a type that tables cannot use."""
    named = isinstance(values['method'], str) and isinstance(values['held_out'], str)
    counts = (values['seed'], values['probe_scenes'])
    pairs, probes = values['pairs'], values['probes']
    right = (
        named
        and all(isinstance(values.get(name, ''), str) for name in _LATER_KEYS)
        and all(isinstance(count, int) for count in counts)
        and is_number(values['spurious'])
        and _are_tables(pairs)
        and (probes is None or _are_tables(probes))
    )
    if not right:
        raise ValueError('an invariance record has values of the wrong type.')


def _are_tables(value: Any) -> bool:
    """Whether a value is a mapping of mappings to numbers or null."""
    return isinstance(value, Mapping) and all(
        isinstance(table, Mapping)
        and all(number is None or is_number(number) for number in table.values())
        for table in value.values()
    )
