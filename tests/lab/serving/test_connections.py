"""Connections of the server, with a minimal application."""

import asyncio
import contextlib
import socket
import threading
import urllib.request

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from mcdrl_lab.serving import connections

WAIT_S = 60


async def answer(request):
    await asyncio.sleep(float(request.query_params.get('sleep', 0)))
    return PlainTextResponse('here')


@pytest.fixture
def address(monkeypatch):
    """Address of a server that waits 0.3 seconds for a request."""
    monkeypatch.setattr(connections, 'HEAD_S', 0.3)
    listener = socket.create_server(('127.0.0.1', 0))
    server = uvicorn.Server(
        uvicorn.Config(
            Starlette(routes=[Route('/', answer)]),
            http=connections.TimedConnection,
            log_level='error',
        )
    )
    thread = threading.Thread(target=server.run, kwargs={'sockets': [listener]})
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join()


def ask(address, query=''):
    url = f'http://{address[0]}:{address[1]}/{query}'
    with urllib.request.urlopen(url, timeout=WAIT_S) as reply:
        return reply.read()


@pytest.mark.reliability('security', 'web page: connections that ask for nothing')
@pytest.mark.parametrize('sent', [b'', b'GET / HTTP/1.1\r\nHost: 127.0'])
def test_connections_without_a_complete_request_are_closed(address, sent):
    with socket.create_connection(address, timeout=WAIT_S) as connection:
        connection.sendall(sent)
        assert connection.recv(1000) == b''


def test_a_connection_with_an_incomplete_second_request_is_closed(address):
    with socket.create_connection(address, timeout=WAIT_S) as connection:
        connection.sendall(b'GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT')
        received = b''
        while part := connection.recv(1000):
            received += part
        assert received.count(b'200 OK') == 1


def test_a_new_connection_closes_the_oldest_one_at_the_limit(address, monkeypatch):
    monkeypatch.setattr(connections, 'HEAD_S', 3600)
    monkeypatch.setattr(connections, 'MAX_OPEN', 20)
    with contextlib.ExitStack() as stack:
        others = []
        for _ in range(30):
            others.append(socket.create_connection(address, timeout=WAIT_S))
            stack.callback(others[-1].close)
        assert ask(address) == b'here'
        # The one that waited longest is closed first.
        assert others[0].recv(1000) == b''
        others[-1].settimeout(0.1)
        with pytest.raises(TimeoutError):
            others[-1].recv(1000)


def test_a_slow_answer_is_not_cut_off(address):
    assert ask(address, '?sleep=1') == b'here'
