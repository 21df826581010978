"""Calls a function in a process that has torch imported already."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import TypeVar

from .child_process import environment_variables, start_context

Result = TypeVar('Result')


def call_with_imports(
    function: Callable[..., Result],
    *arguments: object,
    preload: Sequence[str],
    environment: Mapping[str, str],
) -> Result:
    """Call a function that imports torch, without importing torch in this process.

    Otherwise a plan's command would hold the 300 MB of these imports for as long as its
    runs last, and its fork server holds them anyway. The function is called in a fork
    of that server, and the fork ends after the call. If this process has imported torch
    already, the function is called here.

    Args:
        function: Function at the top level of a module.
        *arguments: Its arguments; they and the result are pickled.
        preload: Modules that the fork server imports.
        environment: Environment of the fork server and the call: that of the runs.

    Raises:
        Exception: Whatever the function raises.
    """
    if 'torch' in sys.modules:
        return function(*arguments)
    context = start_context()
    context.set_forkserver_preload(list(preload))
    with (
        environment_variables(environment),
        ProcessPoolExecutor(1, context, initializer=_end_with_parent) as pool,
    ):
        call = partial(_call_in, os.getcwd(), dict(environment), function, arguments)
        return pool.submit(call).result()


def _end_with_parent() -> None:
    """Make this worker end when the command is killed.

    The worker itself holds both ends of the queue that it reads, so it would never see
    the queue close. It and the fork server would stay forever.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _call_in(
    folder: str,
    environment: dict[str, str],
    function: Callable[..., Result],
    arguments: Sequence[object],
) -> Result:
    """Call a function with the folder and environment of the calling process.

    The fork server may have been started with others.
    """
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    return function(*arguments)
