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


# Only glibc has it.
_LIBRARY = ctypes.CDLL(None) if sys.platform.startswith('linux') else None
_GIVE_BACK = getattr(_LIBRARY, 'malloc_trim', None)
# Bytes held since memory was last returned that are worth a collection of 0.1 s.
_MUCH = 100_000_000
_BYTES_KEPT = pytest.StashKey[int]()


def pytest_collection_finish() -> None:
    """Exclude all that is imported from later garbage collections.

    PyTorch, MMSegmentation and others are a million objects, which stay.
    """
    gc.collect()
    gc.freeze()


def _resident_bytes() -> int:
    """Memory of the process in bytes; 0 where ``/proc`` does not report it."""
    try:
        pages = Path('/proc/self/statm').read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf('SC_PAGE_SIZE')


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Iterator:
    """Free what tests made, and return the memory to the system.

    Models are reference cycles, and the C library keeps freed memory. This is done
    after each file, and between tests that left much memory. The end of a fixture would
    be too early: pytest still holds the values that were passed to the last test.

    What is left after a file is excluded from later collections too. MMEngine collects
    garbage whenever it builds a dataset, which would take 0.4 s each after many files.

    MMEngine's loggers are dropped with their test. They hold its output, which
    ``capsys`` closes: a later test that logs would find an error in its own output.
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
    """The six real sites; tests that use them are skipped if they are absent."""
    named = os.environ.get('MCDRL_DATA_ROOT')
    root = (Path(named) if named else REPO_ROOT.parent / DATA_FOLDER).resolve()
    if not (root / 'manifest.csv').is_file():
        pytest.skip(f'real endoscopy images not found in {root}: set MCDRL_DATA_ROOT')
    return root


@pytest.fixture(scope='module')
def _chromium(tmp_path_factory) -> Iterator:
    """One browser per file: its start takes longer than most tests."""
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
        # The driver is installed; Selenium need not look for one on the network.
        patch.setenv('SE_OFFLINE', 'true')
        chrome = webdriver.Chrome(options=options, service=service)
    with chrome:
        chrome.set_page_load_timeout(120)
        yield chrome


@pytest.fixture
def browser(_chromium):
    """A headless Chromium, driven by Selenium; without one, tests are skipped.

    It has its own profile, and its console messages can be read with
    ``browser.get_log('browser')``. Its state is that of a newly started browser.
    """
    _chromium.execute_cdp_cmd('Emulation.clearDeviceMetricsOverride', {})
    _chromium.execute_cdp_cmd('Network.clearBrowserCache', {})
    _chromium.execute_cdp_cmd('Network.clearBrowserCookies', {})
    _chromium.get('about:blank')
    _chromium.get_log('browser')
    return _chromium
