import contextlib
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from types import SimpleNamespace

import pytest
import torch

from mcdrl_lab.commands import main
from mcdrl_lab.serving.server import ServeError, is_loopback, listen, serve


def no_explainer(model, conformal):
    """Stands for an explainer; nothing else of it is used."""
    return SimpleNamespace(gate=0.5, threshold=None, guarantee=None)


@pytest.mark.parametrize('host', ['127.0.0.1', '127.1.2.3', '::1', 'localhost'])
def test_loopback_addresses_are_recognised(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    'host', ['0.0.0.0', '::', '', '192.168.0.5', 'localhost.example.org']
)
def test_addresses_reachable_from_other_machines_are_not_loopback(host):
    assert not is_loopback(host)


def test_port_0_takes_a_free_port_of_the_given_address_only():
    with listen('127.0.0.1', 0) as listener:
        host, port = listener.getsockname()
    assert host == '127.0.0.1'
    assert port > 0


def test_taken_port_is_an_error_that_names_it():
    with socket.create_server(('127.0.0.1', 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ServeError, match=rf'port {port}: .*in use.*--port'):
            listen('127.0.0.1', port)


@pytest.mark.parametrize('host', ['203.0.113.7', 'x' * 300])
def test_an_address_of_another_machine_is_refused(host):
    with pytest.raises(ServeError, match=host):
        listen(host, 0)


@pytest.mark.parametrize('port', [-1, 65536])
def test_port_out_of_range_is_an_error(port):
    with pytest.raises(ServeError, match=f'--port {port} must be 0 to 65535'):
        listen('127.0.0.1', port)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(ServeError, match=r'absent\.pth'):
        serve(str(tmp_path / 'absent.pth'), port=0)


def test_checkpoint_that_holds_a_program_is_refused(tmp_path):
    path = tmp_path / 'hostile.pth'
    torch.save({'state_dict': {}, 'program': subprocess.Popen}, path)
    with pytest.raises(ServeError, match='more than tensors'):
        serve(str(path), port=0)


def test_invalid_options_are_named(checkpoint, tmp_path):
    with pytest.raises(ServeError, match='--max-upload-mb'):
        serve(str(checkpoint), port=0, max_upload_mb=0)
    with pytest.raises(ServeError, match='--examples'):
        serve(str(checkpoint), port=0, examples=str(tmp_path / 'absent'))


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, 'uvicorn', None)
    monkeypatch.delitem(sys.modules, 'mcdrl_lab.serving.server')
    assert main(['serve', 'model.pth']) == 2
    message = "serve: uvicorn is not installed: pip install 'mcdrl-mmseg[serve]'\n"
    assert capsys.readouterr().err == message


def test_the_address_accepts_connections_when_it_is_shown(monkeypatch, capsys):
    import uvicorn

    from mcdrl_lab.serving import server

    shown = []

    def run(self, sockets):
        # The server does not run yet, but what is printed must already hold.
        shown.append(capsys.readouterr().out)
        socket.create_connection(sockets[0].getsockname(), timeout=5).close()
        sockets[0].close()

    monkeypatch.setattr(uvicorn.Server, 'run', run)
    monkeypatch.setattr(server, 'load_segmentor', lambda *_: None)
    monkeypatch.setattr(server, 'Explainer', no_explainer)
    serve('model.pth', port=0)
    assert shown[0].startswith('Open http://127.0.0.1:')


@pytest.fixture
def serving(monkeypatch, capsys):
    """Serve a page without a model; yield its address, then end it."""
    import uvicorn

    from mcdrl_lab.serving import server

    servers = []
    made = uvicorn.Server
    monkeypatch.setattr(
        uvicorn, 'Server', lambda config: servers.append(made(config)) or servers[0]
    )
    monkeypatch.setattr(server, 'load_segmentor', lambda *_: None)
    monkeypatch.setattr(server, 'Explainer', no_explainer)

    @contextlib.contextmanager
    def serving(host='127.0.0.1'):
        thread = threading.Thread(
            target=serve, args=('model.pth',), kwargs=dict(host=host, port=0)
        )
        thread.start()
        try:
            text = ''
            while 'Open' not in text:
                assert thread.is_alive()
                time.sleep(0.05)
                text += capsys.readouterr().out
            yield text.split()[1]
        finally:
            servers[0].should_exit = True
            thread.join()

    return serving


@pytest.mark.parametrize('host', ['127.0.0.1', '127.1.2.3', '::1'])
def test_the_page_is_served_at_the_shown_address(host, serving):
    try:
        listen(host, 0).close()
    except ServeError:
        pytest.skip(f'this machine has no {host}')
    with serving(host) as url, urllib.request.urlopen(f'{url}/info', timeout=60) as r:
        assert b'"gate":0.5' in r.read()


def test_uploads_interrupted_by_the_shutdown_show_no_traceback(
    serving, monkeypatch, capsys
):
    from mcdrl_lab.serving import server

    monkeypatch.setattr(server, '_SHUTDOWN_S', 0.2)
    head = (
        b'POST /predict?gate=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n'
        b'Content-Type: application/octet-stream\r\nContent-Length: 9\r\n\r\n'
    )
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(serving())
        address = urllib.parse.urlsplit(url)
        upload = socket.create_connection((address.hostname, address.port), timeout=5)
        upload.sendall(head)
        # The server has begun to read the upload once it answers a later request.
        with urllib.request.urlopen(f'{url}/info', timeout=60):
            pass
    upload.close()
    said = capsys.readouterr().err
    assert 'Cancel 1 running task' in said
    assert 'Traceback' not in said


def test_an_invalid_threshold_file_is_named_before_the_model_is_loaded(tmp_path):
    path = tmp_path / 'threshold.json'
    path.write_text('{}')
    with pytest.raises(ServeError, match=r'threshold\.json holds no threshold with'):
        serve('none.pth', port=0, conformal=str(path))
