import ctypes
import gc
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mcdrl_mmseg

REPO_ROOT = Path(__file__).resolve().parents[1]
DATA_FOLDER = Path('shared/data/endoscopy_sites')


# Of glibc alone.
_LIBRARY = ctypes.CDLL(None) if sys.platform.startswith('linux') else None
_GIVE_BACK = getattr(_LIBRARY, 'malloc_trim', None)


def pytest_collection_finish() -> None:
    """Leave what is imported out of every later search for garbage.

    PyTorch, MMSegmentation and their like are a million objects, which stay.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope='module', autouse=True)
def _memory_is_given_back() -> Iterator[None]:
    """Free what the tests of a file made, and hand it back to the system.

    Models hold themselves in circles, and the C library keeps what is freed: after
    each stock model 30 to 330 MB.

    What is left stays, as what was imported before does. MMEngine searches for garbage
    whenever it builds a dataset: for 0.4 s each, once many files have been tested.
    """
    yield
    gc.collect()
    gc.freeze()
    if _GIVE_BACK is not None:
        _GIVE_BACK(0)


@pytest.fixture(scope='session')
def repo_root() -> Path:
    return REPO_ROOT


@pytest.fixture(scope='session')
def data_root() -> Path:
    """The six real sites; tests that ask for it are skipped where it is absent."""
    named = os.environ.get('MCDRL_DATA_ROOT')
    root = (Path(named) if named else REPO_ROOT.parent / DATA_FOLDER).resolve()
    if not (root / 'manifest.csv').is_file():
        pytest.skip(f'real endoscopy images not found in {root}: set MCDRL_DATA_ROOT')
    return root


@pytest.fixture(scope='module')
def _chromium(tmp_path_factory) -> Iterator:
    """One browser for a file: a start takes longer than what most tests do with it."""
    program, driver = shutil.which('chromium'), shutil.which('chromedriver')
    if program is None or driver is None:
        pytest.skip('no Chromium: apt-get install chromium chromium-driver')
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = program
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    for argument in (
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--disable-dev-shm-usage',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--window-size=1280,900',
        f'--user-data-dir={tmp_path_factory.mktemp("browser")}',
    ):
        options.add_argument(argument)
    service = webdriver.ChromeService(executable_path=driver)
    with pytest.MonkeyPatch.context() as patch:
        # The driver is on the machine; Selenium need not look for one on the network.
        patch.setenv('SE_OFFLINE', 'true')
        chrome = webdriver.Chrome(options=options, service=service)
    with chrome:
        chrome.set_page_load_timeout(120)
        yield chrome


@pytest.fixture
def browser(_chromium):
    """A headless Chromium, driven by Selenium; tests are skipped where there is none.

    It has a profile of its own, and its console's messages can be read by
    ``browser.get_log('browser')``. It is as if it had just been started.
    """
    _chromium.execute_cdp_cmd('Emulation.clearDeviceMetricsOverride', {})
    _chromium.execute_cdp_cmd('Network.clearBrowserCache', {})
    _chromium.execute_cdp_cmd('Network.clearBrowserCookies', {})
    _chromium.get('about:blank')
    _chromium.get_log('browser')
    return _chromium
