"""Connections to the page: idle ones are closed, so that they do not block others."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

# Time limit for the head of a request, in seconds; browsers send it at once.
HEAD_S = 10.0
# Far below the number of files that a process may open.
MAX_OPEN = 256


class TimedConnection(H11Protocol):
    """Uvicorn's connection with a time limit for the head of a request.

    Uvicorn waits for it without limit. Here a connection that has sent no head, or only
    a part, is closed after :data:`HEAD_S` seconds. If a new connection exceeds
    :data:`MAX_OPEN`, the one that has been idle longest is closed at once.
    """

    _idle_since: float = 0.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start waiting for a request."""
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        self._timer = self.loop.call_later(HEAD_S, self._watch)
        waiting = [
            other
            for other in self.connections
            if isinstance(other, TimedConnection) and _is_idle(other)
        ]
        if len(self.connections) > MAX_OPEN:
            min(waiting, key=lambda other: other._idle_since).transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Start waiting for the next request."""
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def _watch(self) -> None:
        """Close the connection if it has been idle too long."""
        if _is_idle(self) and self.loop.time() - self._idle_since >= HEAD_S:
            self.transport.close()
        else:
            self._timer = self.loop.call_later(HEAD_S, self._watch)


def _is_idle(connection: TimedConnection) -> bool:
    return connection.cycle is None or connection.cycle.response_complete
