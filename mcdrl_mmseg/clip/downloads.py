"""Published weights from open_clip's cache, or from the network if there is one."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from pathlib import Path
from unittest import mock

_PATIENCE_S = 5.0
_HUB = 'https://huggingface.co'


def fetch_published(cfg: dict) -> Path:
    """The file of an entry of open_clip's table.

    If the host is not reachable, only the cache is searched: the Hub's client would
    otherwise retry for minutes.

    Args:
        cfg: Entry of open_clip's table, as ``get_pretrained_cfg`` gives it.

    Returns:
        Path of the file.

    Raises:
        OSError: It is not in the cache, and its host does not answer.
        Exception: Any error of open_clip's download.
    """
    from huggingface_hub import constants
    from open_clip.pretrained import download_pretrained

    url = cfg.get('url') if not cfg.get('hf_hub') else None
    if is_reachable(url or _HUB):
        return Path(download_pretrained(cfg))
    with mock.patch.object(constants, 'HF_HUB_OFFLINE', True):
        try:
            return Path(download_pretrained(cfg))
        except Exception as error:
            raise OSError(f'{url or _HUB} does not answer; {error}') from error


def is_reachable(url: str, seconds: float = _PATIENCE_S) -> bool:
    """Whether a host answers, through the proxies of the environment if there are any.

    Args:
        url: Any URL of the host.
        seconds: How long to wait, DNS lookup included, which a connection's timeout
            does not cover.
    """
    answered: list[bool] = []

    def ask() -> None:
        request = urllib.request.Request(url, method='HEAD')
        try:
            with urllib.request.urlopen(request, timeout=seconds):
                answered.append(True)
        except urllib.error.HTTPError:
            answered.append(True)
        except (OSError, ValueError):
            pass

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(answered)
