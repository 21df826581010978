import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
from starlette.testclient import TestClient

from mcdrl_lab.serving.app import build_app
from mcdrl_lab.serving.examples import Example
from mcdrl_lab.serving.upload_memory import UploadMemory

UPLOAD = {'Content-Type': 'application/octet-stream'}
MAX_BYTES = 20_000


class CountingExplainer:
    """Answers with the mean of the image, and counts simultaneous requests."""

    gate = 0.5
    threshold = 0.25
    guarantee = 'At most so many.'

    def __init__(self):
        self.lock = threading.Lock()
        self.asking = self.most = 0

    def explanation(self, image):
        with self.lock:
            self.asking += 1
            self.most = max(self.most, self.asking)
        time.sleep(0.05)
        with self.lock:
            self.asking -= 1
        return {'mean': image.mean(axis=(0, 1)).tolist()}

    def prediction(self, image, gate):
        if gate == 1:
            raise RuntimeError('secret of the model')
        return {'gate': gate}


@pytest.fixture
def explainer() -> CountingExplainer:
    return CountingExplainer()


@pytest.fixture
def client(explainer):
    app = build_app(
        explainer,
        title='model.pth',
        max_bytes=MAX_BYTES,
        examples=[Example('<b>.png', b'<script>', b'small')],
    )
    with TestClient(app, base_url='http://127.0.0.1') as client:
        yield client


@pytest.fixture
def image(encode, pixels) -> bytes:
    return encode(pixels, 'PNG')


@pytest.mark.parametrize(
    ('path', 'kind'),
    [
        ('/', 'text/html'),
        ('/page.css', 'text/css'),
        ('/page.js', 'javascript'),
        ('/scale.jpg', 'image/jpeg'),
        ('/info', 'application/json'),
    ],
)
def test_page_and_its_parts_are_served_with_security_headers(client, path, kind):
    answer = client.get(path)
    assert answer.status_code == 200
    assert kind in answer.headers['content-type']
    assert answer.headers['cache-control'] == 'no-store'
    assert answer.headers['x-content-type-options'] == 'nosniff'
    policy = answer.headers['content-security-policy'].split('; ')
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "connect-src 'self'" in policy


def test_page_names_no_other_host(client):
    for path in ('/', '/page.css', '/page.js'):
        assert '//' not in client.get(path).text.replace('// ', '')


def test_info_contains_limits_and_examples(client):
    assert client.get('/info').json() == {
        'title': 'model.pth',
        'gate': 0.5,
        'threshold': 0.25,
        'guarantee': 'At most so many.',
        'max_bytes': MAX_BYTES,
        'examples': ['<b>.png'],
    }


def test_examples_are_sent_as_data_and_thumbnails_as_images(client):
    whole = client.get('/examples/0')
    assert (whole.content, whole.headers['content-type']) == (
        b'<script>',
        'application/octet-stream',
    )
    small = client.get('/examples/0/thumbnail')
    assert (small.content, small.headers['content-type']) == (b'small', 'image/jpeg')
    absent = client.get('/examples/1')
    assert absent.status_code == 404
    assert absent.json() == {'error': 'There is no such example.'}


@pytest.mark.reliability('security', 'web page: paths that leave its folder')
@pytest.mark.parametrize(
    'path', ['/examples/../app.py', '/%2e%2e/app.py', '/..%2fapp.py', '//etc/passwd']
)
def test_no_file_outside_the_page_is_served(client, path):
    assert client.get(path).status_code == 404


def test_upload_reaches_the_explainer_in_rgb_order(client, image, pixels):
    answer = client.post('/explain', content=image, headers=UPLOAD)
    assert answer.status_code == 200
    assert answer.json()['mean'] == pytest.approx(pixels.mean(axis=(0, 1)))


def test_gate_reaches_the_explainer(client, image):
    answer = client.post('/predict?gate=0.35', content=image, headers=UPLOAD)
    assert answer.json() == {'gate': 0.35}


@pytest.mark.parametrize('gate', ['', 'x', '-0.1', '1.01', 'nan', 'inf'])
def test_gate_outside_0_to_1_is_refused(client, image, gate):
    answer = client.post(f'/predict?gate={gate}', content=image, headers=UPLOAD)
    assert answer.status_code == 400
    assert 'must be a number from 0 to 1' in answer.json()['error']


@pytest.mark.reliability('security', 'web page: a script as an image')
@pytest.mark.parametrize('path', ['/explain', '/predict?gate=1'])
def test_a_script_uploaded_as_an_image_gets_a_readable_error(client, path):
    answer = client.post(path, content=b'<svg onload=alert(1)>', headers=UPLOAD)
    assert answer.status_code == 422
    assert 'not a PNG, JPEG, BMP or TIFF image' in answer.json()['error']


def test_upload_over_the_size_limit_is_refused(client):
    answer = client.post('/explain', content=bytes(MAX_BYTES + 1), headers=UPLOAD)
    assert answer.status_code == 413
    assert answer.json() == {
        'error': 'The file is larger than 0.02 MB. Shrink the image.'
    }


POST = {
    'type': 'http',
    'method': 'POST',
    'path': '/explain',
    'query_string': b'',
    'headers': [
        (b'host', b'localhost'),
        (b'content-type', b'application/octet-stream'),
    ],
}


@pytest.mark.reliability('security', 'web page: an upload that never ends')
def test_endless_upload_is_cut_off_at_the_size_limit(client):
    received, sent = 0, []

    async def receive():
        nonlocal received
        received += 1
        assert received <= MAX_BYTES / 1000 + 1
        return {'type': 'http.request', 'body': bytes(1000), 'more_body': True}

    async def send(message):
        sent.append(message)

    anyio.run(client.app, POST, receive, send)
    assert sent[0]['status'] == 413


def test_a_stalled_upload_is_ended_by_a_timeout(client, monkeypatch):
    monkeypatch.setattr('mcdrl_lab.serving.app._UPLOAD_S', 0.1)
    sent = []

    async def send(message):
        sent.append(message)

    anyio.run(client.app, POST, anyio.sleep_forever, send)
    assert sent[0]['status'] == 408


def test_upload_of_exactly_the_size_limit_is_accepted(client, image):
    padded = image + bytes(MAX_BYTES - len(image))
    assert client.post('/explain', content=padded, headers=UPLOAD).status_code == 200


@pytest.mark.reliability('security', 'web page: requests of another site')
@pytest.mark.parametrize(
    'kind', ['text/plain', 'multipart/form-data', 'image/png', None]
)
def test_uploads_of_another_content_type_are_refused(client, image, kind):
    """Pages of other sites can send some of these types without a preflight."""
    headers = {} if kind is None else {'Content-Type': kind}
    answer = client.post('/explain', content=image, headers=headers)
    assert answer.status_code == 415


@pytest.mark.reliability(
    'security', 'web page: a foreign name that resolves to this machine'
)
def test_requests_for_another_host_name_are_refused(client, image):
    headers = {**UPLOAD, 'Host': 'attacker.example'}
    assert client.post('/explain', content=image, headers=headers).status_code == 400
    assert client.get('/info', headers={'Host': 'localhost:9'}).status_code == 200


def test_failure_of_the_model_is_logged_and_not_shown(client, image, caplog):
    with caplog.at_level(logging.ERROR):
        answer = client.post('/predict?gate=1', content=image, headers=UPLOAD)
    assert answer.status_code == 500
    assert 'The model failed on this image' in answer.json()['error']
    assert 'secret' not in answer.text
    assert 'secret of the model' in caplog.text
    assert client.post('/explain', content=image, headers=UPLOAD).status_code == 200


def test_images_are_processed_one_at_a_time(client, explainer, image):
    def post(_):
        return client.post('/explain', content=image, headers=UPLOAD).status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(post, range(4))) == {200}
    assert explainer.most == 1


def test_get_requests_explain_nothing(client):
    assert client.get('/explain').status_code in (404, 405)


class Asgi:
    """Sends requests to an application as slowly as a test needs."""

    def __init__(self, app):
        self.app = app
        self.codes = []

    async def ask(self, *chunks, ends=True):
        parts = [
            {'type': 'http.request', 'body': chunk, 'more_body': True}
            for chunk in chunks
        ]

        async def receive():
            if parts:
                return parts.pop(0)
            if not ends:
                await anyio.sleep_forever()
            return {'type': 'http.request', 'body': b'', 'more_body': False}

        async def send(message):
            if message['type'] == 'http.response.start':
                self.codes.append(message['status'])

        headers = [(b'host', b'127.0.0.1'), (b'content-type', _OCTETS)]
        scope = dict(type='http', method='POST', path='/explain', headers=headers)
        scope.update(query_string=b'', http_version='1.1', scheme='http')
        await self.app(scope, receive, send)


_OCTETS = UPLOAD['Content-Type'].encode()


@pytest.mark.reliability('security', 'web page: uploads that come slowly, or stop')
@pytest.mark.parametrize('size', [1, 18_000])
def test_slow_uploads_do_not_block_other_users(explainer, image, monkeypatch, size):
    monkeypatch.setattr('mcdrl_lab.serving.upload_memory.TIMEOUT_S', 0.2)
    asgi = Asgi(build_app(explainer, 'model.pth', MAX_BYTES))

    async def attack():
        async with anyio.create_task_group() as group:
            for _ in range(60):
                group.start_soon(lambda: asgi.ask(bytes(size), ends=False))
            await anyio.sleep(0.1)
            for _ in range(3):
                with anyio.fail_after(10):
                    await asgi.ask(image)
            group.cancel_scope.cancel()

    anyio.run(attack)
    assert asgi.codes.count(200) == 3
    # Uploads that hold little memory are not ended.
    assert asgi.codes.count(503) == 0 or size > 1


def test_uploads_that_fit_into_memory_wait_for_their_turn(explainer, image):
    content = image.ljust(MAX_BYTES, b'\0')
    asgi = Asgi(build_app(explainer, 'model.pth', MAX_BYTES))

    async def many():
        async with anyio.create_task_group() as group:
            for _ in range(40):
                group.start_soon(asgi.ask, content[:50], content[50:])

    anyio.run(many)
    assert asgi.codes == [200] * 40
    assert explainer.most == 1


def test_upload_memory_is_released_and_its_limit_never_exceeded(monkeypatch):
    monkeypatch.setattr('mcdrl_lab.serving.upload_memory.TIMEOUT_S', 0.05)

    async def use():
        memory = UploadMemory(100)
        with memory.upload(60) as first, memory.upload(60) as second:
            await first.take(60)
            await second.take(40)
            assert memory.left == 0
            with memory.upload(60) as third, first.scope:
                await anyio.sleep(0.06)
                with anyio.move_on_after(0.5):
                    # The first is the oldest, and still holds its memory.
                    await third.take(10)
            assert first.broken_off
            assert first.scope.cancel_called
            assert not second.broken_off
        assert memory.left == 100

    anyio.run(use)
