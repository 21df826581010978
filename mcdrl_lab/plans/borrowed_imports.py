"""A function called where torch is imported already, and its result."""

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
    """Call a function that imports torch, without having torch imported here.

    For as long as its runs go on a plan's command would else hold the 300 MB that these
    imports take, which its fork server has as well. The function is called in a fork
    of that server, which ends with it. Where torch is imported already, it is called
    here.

    Args:
        function: Of a module.
        *arguments: Its arguments; they and the result are pickled.
        preload: Modules that the fork server imports.
        environment: What the fork server is started with: that of the runs.

    Raises:
        Exception: What the function raises.
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
    """Let this process end when the command is killed.

    It holds both ends of the queue that it waits for, and so the fork server, for ever.
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
    """Call it as this process's parent would; a fork server has its own past."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    return function(*arguments)
