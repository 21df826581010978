"""Tries all models of MMSegmentation's configs, each in its own process."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import time
from collections.abc import Collection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mcdrl_lab.plans.json_lines import append_line, parse_line, read_lines

from .stock_configs import StockModel, list_models, stock_folder
from .trial import BROKEN, TrialOutcome, try_model


def sweep(
    records: Path,
    size: int,
    seconds: float,
    only: str = '',
    again: Collection[str] = (),
) -> None:
    """Try the models that have no record, and append one for each.

    Args:
        records: File of JSON lines; the last one of a model counts.
        size: Side of the images in pixels.
        seconds: Time limit per model.
        only: Only try models with a config whose name contains this text.
        again: Try models whose record has one of these statuses again.
    """
    _prepare_forks()
    models, unreadable = list_models(stock_folder(), size)
    done = {
        record['key']
        for record in read_lines(records, parse_line)
        if record['status'] not in again
    }
    todo = [
        model
        for model in models.values()
        if model.key not in done and any(only in name for name in model.configs)
    ]
    todo = _one_of_each_method_first(todo)
    for name, reason in unreadable.items():
        print(f'{name} cannot be read: {reason}')
    print(
        f'{len(models)} models of {sum(len(m.configs) for m in models.values())} '
        f'configs; {len(todo)} to try',
        flush=True,
    )
    for number, model in enumerate(todo, 1):
        outcome = _in_a_process(model, size, seconds)
        append_line(records, json.dumps(_record(model, outcome, size)))
        print(
            f'{number}/{len(todo)} {model.configs[0]} {outcome.seconds:.1f} s: '
            f'{outcome.status} {outcome.reason}'[:400],
            flush=True,
        )


def _prepare_forks() -> None:
    """Import what every child process needs, once before forking."""
    import open_clip  # noqa: F401
    import torch

    import mcdrl_mmseg  # noqa: F401  (registers the components)

    with contextlib.suppress(ImportError):
        import mmdet.models  # noqa: F401  (Mask2Former and MaskFormer)
    # Threads do not survive a fork.
    torch.set_num_threads(1)


def _record(model: StockModel, outcome: TrialOutcome, size: int) -> dict[str, Any]:
    import mmseg

    return dict(
        key=model.key,
        status=outcome.status,
        reason=outcome.reason,
        seconds=round(outcome.seconds, 1),
        size=size,
        mmseg=mmseg.__version__,
        date=time.strftime('%Y-%m-%d'),
        configs=model.configs,
    )


def _one_of_each_method_first(models: list[StockModel]) -> list[StockModel]:
    turns: dict[str, int] = {}

    def turn(model: StockModel) -> int:
        method = model.configs[0].split('/')[0]
        turns[method] = turns.get(method, 0) + 1
        return turns[method]

    return sorted(models, key=turn)


def _in_a_process(model: StockModel, size: int, seconds: float) -> TrialOutcome:
    """Try a model in its own process, so that its crash cannot affect the others."""
    context = multiprocessing.get_context('fork')
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(theirs, model, size))
    child.start()
    theirs.close()
    start = time.perf_counter()
    try:
        if ours.poll(seconds):
            return TrialOutcome(*ours.recv())
        reason = f'took more than {seconds:g} s'
    except EOFError:
        child.join()
        reason = f'the process ended with code {child.exitcode}'
    finally:
        child.kill()
        child.join()
    return TrialOutcome(BROKEN, reason, time.perf_counter() - start)


def _child(connection: Connection, model: StockModel, size: int) -> None:
    import logging
    import warnings

    warnings.simplefilter('ignore')
    logging.disable(logging.WARNING)
    connection.send(tuple(try_model(model.model, size)))
