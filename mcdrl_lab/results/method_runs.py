"""The runs of one method that make a complete leave-one-site-out study."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcdrl_common.threshold_file import MODEL_KEY
from mcdrl_common.written_files import places
from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import RunRecord, latest_records

from .scores import done


@dataclass(frozen=True)
class MethodRuns:
    """Runs of one method, restricted to seeds that finished at every site.

    Attributes:
        method: Name of the method.
        sites: Held-out sites, in alphabetical order.
        seeds: Seeds that finished at every site.
        runs: One run for each site and seed.
    """

    method: str
    sites: tuple[str, ...]
    seeds: tuple[int, ...]
    runs: list[RunRecord]

    def origin(self) -> dict[str, Any]:
        """Entries for a threshold file that describe these runs."""
        found = dict(sites=list(self.sites), seeds=list(self.seeds))
        # Older records have no hash of the network.
        first, *others = {run.model_hash for run in self.runs}
        return found if others or not first else {**found, MODEL_KEY: first}

    def made_of(self, command: str, records: Path, *settings: str) -> list[str]:
        """Inputs of a threshold file, to distinguish it from other threshold files.

        Args:
            command: Name of the command.
            records: Path of the records.
            *settings: Settings of the command.
        """
        made_of = [command, *places(records), f'--method {self.method}', *settings]
        if network := self.origin().get(MODEL_KEY):
            made_of.append(f'network {network[:12]}')
        return made_of


def method_runs(
    records: Iterable[RunRecord],
    method: str | None = None,
    seeds: Collection[int] | None = None,
) -> MethodRuns:
    """Find the runs of one method, by their latest records.

    Args:
        records: Run records of leave-one-site-out.
        method: Name of the method; None takes the only one.
        seeds: Seeds to use; None takes all. The sites are always those of all seeds.

    Raises:
        ProtocolError: An unknown or ambiguous method, or no seed that finished at every
            site.
    """
    runs = [r for r in done(latest_records(records)) if r.selection == 'validation']
    methods = sorted({r.method for r in runs})
    if method is None and len(methods) == 1:
        (method,) = methods
    if method not in methods:
        asked = 'no method was chosen' if method is None else f'no method {method!r}'
        raise ProtocolError(
            f'{asked}: choose one with --method; there are '
            f'{", ".join(methods) or "none"}.'
        )
    own = [r for r in runs if r.method == method]
    sites = tuple(sorted({r.held_out for r in own}))
    by_site = {s: {r.seed for r in own if r.held_out == s} for s in sites}
    common = set.intersection(*by_site.values())
    common &= common if seeds is None else set(seeds)
    if not common:
        raise ProtocolError(
            f'{method}: no seed{"" if seeds is None else " of --seeds"} has finished '
            'at every site; finished are '
            + ', '.join(f'{site} {sorted(found)}' for site, found in by_site.items())
        )
    runs = [r for r in own if r.seed in common]
    return MethodRuns(method, sites, tuple(sorted(common)), runs)
