"""Ranks pages in the search: guides first, then definitions, the API last."""

from mkdocs.structure.nav import Section
from mkdocs.structure.pages import Page

_BOOST = {'Start': 3, 'How to': 3, 'API': 0.3, 'Project': 0.5}


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Set what mkdocs-material's search multiplies a page's score by."""
    top = page.parent
    while top is not None and top.parent is not None:
        top = top.parent
    if isinstance(top, Section) and top.title in _BOOST:
        page.meta['search'] = {'boost': _BOOST[top.title]}
    return markdown
