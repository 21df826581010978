"""Refuses pages that would fetch anything from elsewhere when they are read."""

import re

from mkdocs.exceptions import PluginError
from mkdocs.structure.pages import Page

_FETCHED = re.compile(
    r'<(?:script|img|iframe|source)[^>]*\ssrc="(?:https?:)?//[^"]*"'
    r'|<link[^>]*rel="(?:stylesheet|preconnect|icon)"[^>]*href="(?:https?:)?//[^"]*"'
)


def on_post_page(output: str, page: Page, **_: object) -> str:
    """Look through a finished page."""
    if found := _FETCHED.search(output):
        raise PluginError(f'{page.file.src_uri}: fetches {found[0]}')
    return output
