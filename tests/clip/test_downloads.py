import http.server
import socket
import threading
import time

import pytest

from mcdrl_mmseg.clip import downloads
from mcdrl_mmseg.clip.weights import CLIPWeightsError, resolve_weights_file


@pytest.fixture
def silent():
    """Address of a host that accepts connections and never answers."""
    with socket.create_server(('127.0.0.1', 0)) as server:
        yield f'http://127.0.0.1:{server.getsockname()[1]}'


@pytest.fixture
def host():
    """Address of a host that answers every request with 404."""

    class Nothing(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(404)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(('127.0.0.1', 0), Nothing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    server.server_close()


def test_a_host_is_reachable_if_it_answers_even_with_an_error(
    host, silent, monkeypatch
):
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    assert downloads.is_reachable(host)
    assert not downloads.is_reachable(silent, 0.2)
    assert not downloads.is_reachable('http://127.0.0.1:9', 0.2)


@pytest.mark.parametrize('tag', ['openai', 'laion2b_s34b_b88k'])
def test_an_unreachable_host_is_an_error_within_ten_seconds_that_names_the_option(
    silent, monkeypatch, tmp_path, tag
):
    for name in ('http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'):
        monkeypatch.setenv(name, silent)
    monkeypatch.setenv('no_proxy', '')
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_CACHE', str(tmp_path))
    started = time.monotonic()
    with pytest.raises(CLIPWeightsError) as error:
        resolve_weights_file(tag, 'ViT-B-16')
    assert time.monotonic() - started < 10
    told = ' '.join(str(error.value).split())
    assert 'does not answer' in told
    assert '--cfg-options model.backbone.pretrained=' in told


def test_a_cached_file_is_used_without_a_reachable_host(monkeypatch, tmp_path):
    file = tmp_path / 'ViT-B-16.pt'
    file.touch()
    monkeypatch.setattr(downloads, 'is_reachable', lambda url: False)
    monkeypatch.setattr(
        'open_clip.pretrained.download_pretrained', lambda cfg: str(file)
    )
    assert downloads.fetch_published({'hf_hub': 'timm/vit/'}) == file
