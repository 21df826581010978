"""Runs tools in one process, which takes less time, and records network access.

Its argument is a JSON object of command lines by name. The last line that it prints is
a JSON object of the output of each, and, as ``network``, of the hosts that the tools
tried to reach: all connections are refused.
"""

import contextlib
import io
import json
import runpy
import socket
import sys
import traceback

tried: list[str] = []
connect, getaddrinfo = socket.socket.connect, socket.getaddrinfo


def refuse(host, *_, **__):
    tried.append(str(host))
    raise OSError('no network in this test')


def connect_here(self, address):
    if self.family == socket.AF_UNIX:
        return connect(self, address)
    return refuse(address)


def look_up_here(host, *arguments, **options):
    # The command serve looks up the address on which it listens.
    if host == '127.0.0.1':
        return getaddrinfo(host, *arguments, **options)
    return refuse(host)


socket.socket.connect = socket.socket.connect_ex = connect_here
socket.getaddrinfo = look_up_here
socket.gethostbyname = refuse


def run(command: list[str]) -> str:
    sys.argv = command[1:] if command[0] == '-m' else command
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            if command[0] == '-m':
                runpy.run_module(command[1], run_name='__main__', alter_sys=True)
            else:
                runpy.run_path(command[0], run_name='__main__')
        except SystemExit as error:
            print(f'exit {error.code}')
        except Exception:
            traceback.print_exc()
    return said.getvalue()


outcomes = {name: run(command) for name, command in json.loads(sys.argv[1]).items()}
print(json.dumps({**outcomes, 'network': tried}))
