"""The page in a browser, served by the command."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from mcdrl_common.site_reference import META_KEY as REFERENCE_KEY
from mcdrl_common.site_reference import site_reference
from mcdrl_common.threshold_file import CONFORMAL
from mcdrl_mmseg.apis.checkpoint import load_segmentor
from mcdrl_mmseg.apis.explanation import explain, predict_at_gate
from mcdrl_mmseg.apis.image_flags import ImageChecker
from mcdrl_mmseg.apis.inferencer import MCDRLInferencer
from mcdrl_mmseg.apis.temperature import META_KEY as TEMPERATURE_KEY
from mcdrl_mmseg.visualization.overlay import heat_map

EXAMPLES = ('first.png', 'second.png')
WAIT_S = 120


@pytest.fixture(scope='module')
def served(checkpoint, tmp_path_factory, encode, pixels):
    """A running server; its address and folders."""
    folder = tmp_path_factory.mktemp('served')
    with serving(folder, checkpoint, encode, pixels) as server:
        yield server


@pytest.fixture(scope='module')
def trusted(checkpoint, tmp_path_factory, encode, pixels):
    """A server of a calibrated model with a site reference and a threshold.

    Its training images were like the first example, and not like the second.
    """
    folder = tmp_path_factory.mktemp('trusted')
    content = torch.load(checkpoint, weights_only=False)
    content['meta'][TEMPERATURE_KEY] = [20.0]
    path = folder / 'trusted.pth'
    torch.save(content, path)
    dictionary = load_segmentor(path, device='cpu').decode_head.dictionary
    names = dictionary.prompts.confounder_names
    rng = np.random.default_rng(0)

    def reference(scores, embedding):
        return site_reference(
            scores + 1e-6 * rng.normal(size=(60, len(names))),
            embedding + 1e-5 * rng.normal(size=(60, 128)),
            ['a'] * 60,
            names,
            dictionary.stored_fingerprint,
        ).to_text()

    content['meta'][REFERENCE_KEY] = reference(0, np.ones(128))
    torch.save(content, path)
    checker = ImageChecker(load_segmentor(path, device='cpu'))
    first = cv2.resize(pixels, None, fx=4, fy=4)[..., ::-1]
    content['meta'][REFERENCE_KEY] = reference(*checker.measure(first.copy()))
    torch.save(content, path)
    threshold = folder / 'threshold.json'
    CONFORMAL.write(
        threshold,
        dict(threshold=0.6, level=0.25, risk='area', sites=[*'abcde'], seeds=[0]),
    )
    with serving(folder, path, encode, pixels, '--conformal', threshold) as server:
        server.checkpoint, server.threshold = path, threshold
        yield server


@contextlib.contextmanager
def serving(folder, checkpoint, encode, pixels, *options):
    """Start the command with two examples; kill it at the end."""
    here, temporary, examples = (folder / n for n in ('here', 'tmp', 'examples'))
    for path in (here, temporary, examples):
        path.mkdir()
    # Large enough that a picture is not blurred beyond recognition.
    large = cv2.resize(pixels, None, fx=4, fy=4)
    (examples / EXAMPLES[0]).write_bytes(encode(large, 'PNG'))
    (examples / EXAMPLES[1]).write_bytes(encode(large[::-1].copy(), 'PNG'))
    log = (folder / 'log').open('w+')
    process = subprocess.Popen(
        [
            *(sys.executable, '-m', 'mcdrl_lab', 'serve', checkpoint),
            *('--examples', examples, '--port', '0', '--device', 'cpu'),
            *('--max-upload-mb', '0.5', *options),
        ],
        cwd=here,
        env={**os.environ, 'TMPDIR': str(temporary), 'OMP_NUM_THREADS': '1'},
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    try:
        line = next((text for text in process.stdout if 'Open' in text), '')
        found = re.search(r'http://127\.0\.0\.1:\d+', line)
        assert found, (folder / 'log').read_text()
        yield SimpleNamespace(
            url=found[0],
            process=process,
            log=folder / 'log',
            examples=examples,
            written=lambda: [*here.rglob('*'), *temporary.rglob('*')],
            images={name: cv2.imread(str(examples / name)) for name in EXAMPLES},
        )
    finally:
        process.kill()
        process.wait()
        log.close()


@pytest.fixture
def page(browser, served):
    """The opened page, and what a user can do with it."""
    return opened(browser, served)


@pytest.fixture
def trusted_page(browser, trusted):
    """The same for the calibrated model."""
    return opened(browser, trusted)


def opened(browser, served):
    """Open a server's page."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    def by_id(name):
        return browser.find_element(By.ID, name)

    def until(condition):
        return WebDriverWait(browser, WAIT_S).until(lambda _: condition())

    def pick(name):
        browser.find_element(By.CSS_SELECTOR, f'#examples [title="{name}"]').click()
        until(lambda: by_id('name').text == name)

    def move_gate(value):
        browser.execute_script(
            "const gate = document.getElementById('gate'); gate.value = arguments[0];"
            "gate.dispatchEvent(new Event('input'));",
            value,
        )
        until(lambda: float(by_id('results').get_attribute('data-gate')) == value)

    def see(width, height, mobile):
        browser.execute_cdp_cmd(
            'Emulation.setDeviceMetricsOverride',
            dict(width=width, height=height, deviceScaleFactor=1, mobile=mobile),
        )

    browser.get(served.url)
    until(lambda: by_id('title').text)
    return SimpleNamespace(
        by_id=by_id, until=until, pick=pick, move_gate=move_gate, see=see
    )


@pytest.fixture(scope='module')
def model(checkpoint):
    """The model that the server should have loaded."""
    return load_segmentor(checkpoint, device='cpu')


def share(probability: np.ndarray) -> str:
    """Share of marked pixels as the page writes it."""
    return f'{100 * (probability > 0.5).mean():.1f} %'


def shown_colors(browser, name: str) -> np.ndarray:
    """(H, W, 4) of a picture, as the browser decoded it."""
    width, height, values = browser.execute_script(
        'const picture = document.getElementById(arguments[0]);'
        "const canvas = document.createElement('canvas');"
        'canvas.width = picture.naturalWidth; canvas.height = picture.naturalHeight;'
        "const context = canvas.getContext('2d'); context.drawImage(picture, 0, 0);"
        'return [canvas.width, canvas.height, Array.from(context.getImageData('
        '0, 0, canvas.width, canvas.height).data)];',
        name,
    )
    return np.array(values).reshape(height, width, 4)


def test_example_is_explained_and_the_gate_changes_its_mask(
    browser, served, page, model
):
    image = served.images[EXAMPLES[1]]
    expected = explain(model, image, gate=1.0)
    page.pick(EXAMPLES[1])
    height, width = image.shape[:2]
    assert page.by_id('size').text == f'{width} \u00d7 {height} pixels'
    rows = [row.text.rsplit(maxsplit=2) for row in bars(browser)]
    order = np.argsort(-expected.attention, kind='stable')
    assert [(row[0], f'{row[1]} {row[2]}') for row in rows] == [
        (expected.confounder_names[n], f'{100 * expected.attention[n]:.1f} %')
        for n in order
    ]
    widths = [bar_width(row) for row in bars(browser)]
    assert widths == sorted(widths, reverse=True)
    ratio = expected.attention[order[1]] / expected.attention[order[0]]
    assert widths[1] / widths[0] == pytest.approx(ratio, abs=0.02)

    assert page.by_id('gate-value').text == '1.00'
    assert page.by_id('marked').text == share(expected.lesion_probability['gate'])
    page.move_gate(0.25)
    assert page.by_id('gate-value').text == '0.25'
    assert page.by_id('marked').text == share(predict_at_gate(model, image, 0.25))
    page.by_id('reset').click()
    page.until(lambda: page.by_id('results').get_attribute('data-gate') == '1')
    assert page.by_id('marked').text == share(expected.lesion_probability['gate_1'])


@pytest.mark.parametrize(
    ('weights', 'shares'),
    [([0.25, 0.25, 0.25, 0.25], [0.5] * 4), ([0.8, 0.2], [0.8, 0.2])],
)
def test_an_equal_share_of_attention_fills_half_of_the_bar(
    browser, page, weights, shares
):
    page.pick(EXAMPLES[1])
    browser.execute_script(
        'showConfounders(arguments[0].map((weight) => ({ name: "a", weight })), true)',
        weights,
    )
    rows = bars(browser)
    tracks = [row.find_element('css selector', '.track') for row in rows]
    widths = [bar_width(row) for row in rows]
    parts = [w / track.size['width'] for w, track in zip(widths, tracks)]
    assert parts == pytest.approx(shares, abs=0.02)
    told = page.by_id('weights-note').text
    assert told.endswith(f'shares would be {100 / len(weights):.1f} % each.')


def bars(browser) -> list:
    return browser.find_elements('css selector', '#confounders li')


def bar_width(row) -> float:
    return row.find_element('css selector', '.bar').size['width']


def test_the_class_of_the_similarity_map_can_be_chosen(browser, page, model):
    page.pick(EXAMPLES[0])
    first, second = browser.find_elements('css selector', '#class option')
    names = model.decode_head.dictionary.prompts.classes
    assert (first.text, second.text) == names
    before = shown_colors(browser, 'similarity')
    second.click()
    page.until(lambda: names[1] in page.by_id('similarity').get_attribute('alt'))
    after = shown_colors(browser, 'similarity')
    assert after.shape == before.shape
    assert np.abs(after - before).mean() > 1


def test_an_uploaded_file_is_explained_like_the_same_example(
    browser, page, tmp_path, served
):
    page.pick(EXAMPLES[1])
    marked = page.by_id('marked').text
    path = tmp_path / 'mine.bmp'
    cv2.imwrite(str(path), served.images[EXAMPLES[1]])
    page.by_id('file').send_keys(str(path))
    page.until(lambda: page.by_id('name').text == 'mine.bmp')
    assert page.by_id('marked').text == marked


def test_an_unusual_image_is_reported_in_a_line_and_a_usual_one_is_not(trusted_page):
    trusted_page.pick(EXAMPLES[1])
    flag = trusted_page.by_id('flag')
    assert flag.is_displayed()
    assert flag.text.startswith('Unusual image: it lies farther from the training')
    assert 'The prediction may still be right' in flag.text
    trusted_page.pick(EXAMPLES[0])
    assert not flag.is_displayed()


def test_probability_is_that_of_predict_and_labelled_as_calibrated(
    browser, trusted, trusted_page
):
    trusted_page.pick(EXAMPLES[1])
    inferencer = MCDRLInferencer(weights=str(trusted.checkpoint), show_progress=False)
    (predicted,) = inferencer.predict([trusted.images[EXAMPLES[1]]])
    assert np.abs(predicted.lesion_probability - predicted.network_probability).max()
    highest = float(trusted_page.by_id('highest').text)
    assert highest == pytest.approx(predicted.lesion_probability.max(), abs=1e-4)
    assert abs(highest - predicted.network_probability.max()) > 0.01
    assert trusted_page.by_id('calibrated').is_displayed()
    # Colours of the calibrated probability, to the precision of a JPEG.
    image = np.ascontiguousarray(trusted.images[EXAMPLES[1]][..., ::-1])
    seen = shown_colors(browser, 'probability')[..., :3]
    expected = heat_map(image, predicted.lesion_probability, low=0, high=1)
    other = heat_map(image, predicted.network_probability, low=0, high=1)
    assert np.abs(seen - expected).mean() < 0.5 * np.abs(seen - other).mean()


def test_conformal_mask_is_shown_beside_the_usual_one_with_its_guarantee(
    browser, trusted, trusted_page
):
    trusted_page.pick(EXAMPLES[1])
    inferencer = MCDRLInferencer(weights=str(trusted.checkpoint), show_progress=False)
    (predicted,) = inferencer.predict([trusted.images[EXAMPLES[1]]], threshold=0.6)
    mask = predicted.conformal_mask
    # Neither the usual mask nor one of the calibrated probability.
    assert 0 < mask.mean() < (predicted.network_probability > 0.5).mean()
    assert mask.mean() > (predicted.lesion_probability >= 0.6).mean()
    assert trusted_page.by_id('threshold').text == '0.6'
    marked = trusted_page.by_id('conformal-marked').text
    assert marked == f'{100 * mask.mean():.1f} %'
    assert trusted_page.by_id('marked').text == share(predicted.network_probability)
    guarantee = trusted_page.by_id('guarantee').text
    assert guarantee.startswith('The expected miss is at most 25 % of lesion area, on')
    assert 'if these are exchangeable with the 5 sites of the records' in guarantee
    places = [trusted_page.by_id(name).location for name in ('mask', 'conformal')]
    assert places[0]['y'] == places[1]['y']
    # The mask follows the gate; its guarantee does not.
    model = load_segmentor(trusted.checkpoint, device='cpu')
    trusted_page.move_gate(0.25)
    other = predict_at_gate(model, trusted.images[EXAMPLES[1]], 0.25) >= np.float32(0.6)
    assert trusted_page.by_id('conformal-marked').text == f'{100 * other.mean():.1f} %'
    assert 'holds for the gate as trained' in guarantee
    assert browser.get_log('browser') == []


def test_the_page_shows_no_calibration_threshold_or_flag_if_the_model_has_none(page):
    page.pick(EXAMPLES[1])
    for name in ('calibrated', 'conformal-part', 'flag'):
        assert not page.by_id(name).is_displayed()


@pytest.mark.reliability(
    'security', 'web page: hostile and too large files in a browser'
)
def test_hostile_and_large_files_get_a_readable_message(page, tmp_path):
    hostile, large = tmp_path / '<img src=x onerror=alert(1)>.png', tmp_path / 'l.png'
    hostile.write_text('<script>alert(1)</script>')
    large.write_bytes(bytes(600_000))
    page.by_id('file').send_keys(str(hostile))
    page.until(lambda: page.by_id('error').is_displayed())
    assert page.by_id('error').text.startswith(
        f'{hostile.name}: This is not a PNG, JPEG, BMP or TIFF image'
    )
    page.by_id('file').send_keys(str(large))
    page.until(lambda: 'larger than 0.5 MB' in page.by_id('error').text)
    # The page still works with the next image.
    page.pick(EXAMPLES[0])
    assert not page.by_id('error').is_displayed()


@pytest.mark.parametrize('which', ['page', 'trusted_page'])
@pytest.mark.parametrize(
    ('width', 'height', 'mobile', 'columns'),
    [(1280, 900, False, 2), (390, 844, True, 1)],
    ids=['desktop', 'phone'],
)
def test_nothing_is_cut_off_or_overlaps(
    browser, request, which, width, height, mobile, columns
):
    page = request.getfixturevalue(which)
    page.see(width, height, mobile)
    page.pick(EXAMPLES[1])
    assert browser.execute_script(
        'return document.documentElement.scrollWidth <= window.innerWidth;'
    )
    figures = browser.find_elements('css selector', 'figure:not([hidden])')
    assert len(figures) == (4 if which == 'page' else 5)
    assert len({figure.location['x'] for figure in figures}) == columns
    controls = browser.find_elements('css selector', '#gate-part > *')
    parts = [*figures, *controls, *browser.find_elements('css selector', '#choose')]
    if which == 'trusted_page':
        parts.append(page.by_id('flag'))
    boxes = [part.rect for part in parts]
    for number, one in enumerate(boxes):
        assert one['x'] >= 0
        assert one['x'] + one['width'] <= width
        for other in boxes[:number]:
            apart = (
                one['x'] + one['width'] <= other['x'] + 1
                or other['x'] + other['width'] <= one['x'] + 1
                or one['y'] + one['height'] <= other['y'] + 1
                or other['y'] + other['height'] <= one['y'] + 1
            )
            assert apart, (one, other)
    for picture in browser.find_elements('css selector', 'figure:not([hidden]) img'):
        assert browser.execute_script('return arguments[0].naturalWidth > 0', picture)


@pytest.mark.reliability(
    'security', 'web page: nothing is written, nothing comes from elsewhere'
)
def test_everything_is_loaded_from_the_server_and_nothing_is_written(
    browser, page, served
):
    page.pick(EXAMPLES[0])
    page.move_gate(0.5)
    loaded = browser.execute_script(
        "return performance.getEntriesByType('resource').map((one) => one.name);"
    )
    assert len(loaded) >= 6
    assert all(
        name.startswith((f'{served.url}/', 'data:image/jpeg;')) for name in loaded
    )
    # No error, and nothing that the content security policy blocked.
    assert browser.get_log('browser') == []
    assert served.written() == []


@pytest.mark.reliability('security', 'web page: headers without end')
def test_endless_headers_are_cut_off(served):
    host, port = served.url.removeprefix('http://').split(':')
    with socket.create_connection((host, int(port)), timeout=WAIT_S) as connection:
        connection.sendall(b'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ')
        with contextlib.suppress(ConnectionError):
            for _ in range(20):
                connection.sendall(b'x' * 100_000)
        # Closed while it is sent, or answered; never held open.
        with contextlib.suppress(ConnectionError):
            assert connection.recv(1000)[:10] in (b'', b'HTTP/1.1 4')
    with urllib.request.urlopen(f'{served.url}/info', timeout=WAIT_S) as answer:
        assert answer.status == 200


def test_ctrl_c_ends_the_server_quietly(served):
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(timeout=WAIT_S) == 0
    assert 'Traceback' not in Path(served.log).read_text()
