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
# Bytes left since memory was last given back: worth the 0.1 s of a search for garbage.
_MUCH = 100_000_000
_BYTES_KEPT = pytest.StashKey[int]()


def pytest_collection_finish() -> None:
    """Leave what is imported out of every later search for garbage.

    PyTorch, MMSegmentation and their like are a million objects, which stay.
    """
    gc.collect()
    gc.freeze()


def _resident_bytes() -> int:
    """Memory that the process holds; 0 where Linux does not say it."""
    try:
        pages = Path('/proc/self/statm').read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf('SC_PAGE_SIZE')


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Iterator:
    """Free what tests made, and hand it back to the system.

    Models hold themselves in circles, and the C library keeps what is freed. That is
    done after each file, and between tests that left much. At the end of a fixture it
    would be too early: pytest still holds the values that the last test was given.

    What is left after a file stays, as what was imported before does. MMEngine searches
    for garbage whenever it builds a dataset: for 0.4 s each, once many files have been
    tested.

    MMEngine's loggers end with their test. They hold its output, which ``capsys``
    closes: a later test that logged would find an error in its own output.
    """
    kept = item.session.stash
    kept.setdefault(_BYTES_KEPT, _resident_bytes())
    result = yield
    if 'mmengine.logging' in sys.modules:
        sys.modules['mmengine.logging'].MMLogger._instance_dict.clear()
    last = nextitem is None or nextitem.path != item.path
    if last or _resident_bytes() - kept[_BYTES_KEPT] > _MUCH:
        gc.collect()
        if last:
            gc.freeze()
        if _GIVE_BACK is not None:
            _GIVE_BACK(0)
        kept[_BYTES_KEPT] = _resident_bytes()
    return result


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
