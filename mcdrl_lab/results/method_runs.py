"""The runs of one method that make a complete leave-one-site-out study."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.plans.records import RunRecord

from .scores import done


def method_runs(
    records: Iterable[RunRecord],
    method: str | None = None,
    seeds: Collection[int] | None = None,
) -> tuple[str, tuple[str, ...], tuple[int, ...], list[RunRecord]]:
    """Runs of one method whose seeds finished at every site.

    Args:
        records: Run records of leave-one-site-out.
        method: Name of the method; None takes the only one.
        seeds: These only; None takes all. Sites are those of all seeds.

    Returns:
        The method, its held-out sites in alphabetical order, the seeds, and their runs.

    Raises:
        ProtocolError: An unknown or ambiguous method, or no seed that is at every site.
    """
    runs = [r for r in done(records) if r.selection == 'validation']
    methods = sorted({r.method for r in runs})
    if method is None and len(methods) == 1:
        (method,) = methods
    if method not in methods:
        asked = 'which method is meant' if method is None else f'no method {method!r}'
        raise ProtocolError(
            f'{asked}: name one by --method; there are {", ".join(methods) or "none"}.'
        )
    own = [r for r in runs if r.method == method]
    sites = tuple(sorted({r.held_out for r in own}))
    by_site = {s: {r.seed for r in own if r.held_out == s} for s in sites}
    common = set.intersection(*by_site.values())
    common &= common if seeds is None else set(seeds)
    if not common:
        raise ProtocolError(
            f'{method}: no seed has finished at every site'
            f'{"" if seeds is None else " of those named"}; finished are '
            + ', '.join(f'{site} {sorted(found)}' for site, found in by_site.items())
        )
    runs = [r for r in own if r.seed in common]
    return method, sites, tuple(sorted(common)), runs


def model_hash_of(runs: Iterable[RunRecord]) -> str:
    """Fingerprint of the network that some runs trained.

    Args:
        runs: Runs of one method.

    Returns:
        Empty where a record has none, or they differ.
    """
    found = {run.model_hash for run in runs}
    return found.pop() if len(found) == 1 else ''
