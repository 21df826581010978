"""Starts the page's server; by default only this machine can reach it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import socket
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from mcdrl_common import InputError
from mcdrl_common.printable import printable
from mcdrl_common.threshold_file import CONFORMAL
from mcdrl_mmseg.apis.checkpoint import CheckpointError, load_segmentor
from mcdrl_mmseg.models.confounder_dictionary import DictionaryError

from .app import build_app
from .connections import TimedConnection
from .examples import load_examples
from .page_content import Explainer

_LOOPBACK_NAMES = ('127.0.0.1', 'localhost', '[::1]')
_MAX_PORT = 65535
# Grace period at shutdown: a running answer may finish, but an open connection must
# not delay the end for longer.
_SHUTDOWN_S = 5
# Errors of the checkpoint, its config, the model or the examples. Each message says
# what to do.
_UNUSABLE = (CheckpointError, DictionaryError, ValueError, OSError)


class ServeError(InputError, RuntimeError):
    """The page cannot be served; the message says why and what to do."""


def serve(
    checkpoint: str,
    config: str | None = None,
    examples: str | None = None,
    host: str = '127.0.0.1',
    port: int = 7860,
    max_upload_mb: float = 10.0,
    device: str | None = None,
    conformal: str | None = None,
) -> None:
    """Serve the page until interrupted.

    Args:
        checkpoint: See :func:`~mcdrl_mmseg.apis.checkpoint.load_segmentor`.
        config: Config file, or None for the one in the checkpoint.
        examples: Folder of images that the page offers.
        host: Address or name to listen on.
        port: 0 takes a free one.
        max_upload_mb: Largest upload in megabytes.
        device: As ``'cuda:0'``; None takes a GPU if there is one.
        conformal: Threshold file of ``python -m mcdrl_lab conformal``. The mask at this
            threshold is shown too.

    Raises:
        ServeError: The checkpoint, the threshold or the examples cannot be used, or
            the address is taken.
    """
    if max_upload_mb <= 0:
        raise ServeError(f'--max-upload-mb {max_upload_mb:g} must be above 0.')
    max_bytes = int(max_upload_mb * 1e6)
    # Listen first: a port in use is reported before the model is loaded.
    listener = listen(host, port)
    try:
        offered, skipped = load_examples(examples, max_bytes) if examples else ([], [])
        threshold = CONFORMAL.read(conformal) if conformal else None
        model = load_segmentor(checkpoint, config, device)
        if threshold and conformal:
            note = CONFORMAL.check_model(threshold, model.model_hash, conformal)
            skipped += [f'note: {note}'] if note else []
        explainer = Explainer(model, threshold)
    except _UNUSABLE as error:
        listener.close()
        raise ServeError(str(error)) from error
    for line in skipped:
        print(printable(line), file=sys.stderr)

    # On another address any name is allowed: the machine's names are not known here.
    hosts = (*_LOOPBACK_NAMES, _in_url(host)) if is_loopback(host) else ('*',)
    app = build_app(
        explainer,
        title=Path(checkpoint).name,
        max_bytes=max_bytes,
        examples=offered,
        allowed_hosts=hosts,
    )
    _open(listener, host)
    _run(app, listener)


def _run(app: Starlette, listener: socket.socket) -> None:
    """Serve an application until interrupted."""
    settings = uvicorn.Config(
        app,
        log_level='warning',
        access_log=False,
        server_header=False,
        ws='none',
        http=TimedConnection,
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )
    logging.getLogger('uvicorn.error').addFilter(_is_no_cancellation)
    # Uvicorn shuts down cleanly and then raises the interrupt again.
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(settings).run(sockets=[listener])


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """Log filter: drop tracebacks of requests that the shutdown cancelled.

    Uvicorn logs their number in one line anyway.
    """
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, asyncio.CancelledError)


def _in_url(host: str) -> str:
    return f'[{host}]' if ':' in host else host


def _open(listener: socket.socket, host: str) -> None:
    """Listen and print the address; early connections wait until the server runs."""
    if not is_loopback(host):
        print(
            f'WARNING: listening on {host}: everyone who can reach this machine can '
            'use the page, without a password or encryption. Leave out --host to serve '
            'this machine only.',
            file=sys.stderr,
        )
    listener.listen()
    address = f'http://{_in_url(host)}:{listener.getsockname()[1]}'
    print(f'Open {address} (Ctrl+C stops it)', flush=True)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address.

    Args:
        host: Address or name. Of the names only ``localhost`` counts.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'


def listen(host: str, port: int) -> socket.socket:
    """Bind a socket to an address.

    Args:
        host: Address or name.
        port: 0 takes a free one.

    Raises:
        ServeError: The address is in use, not this machine's, or not valid.
    """
    # A larger number would be cut to 16 bits without an error.
    if not 0 <= port <= _MAX_PORT:
        raise ServeError(f'--port {port} must be 0 to {_MAX_PORT}.')
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise ServeError(f'--host {host} --port {port}: {error}.') from error
    # Allow a port that a server has used until just now.
    if os.name == 'posix':
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise ServeError(
            f'cannot listen on {host}, port {port}: {error.strerror}. Choose another '
            'with --port; 0 chooses a free one.'
        ) from error
    return listener
