import re
from collections import Counter
from pathlib import Path

from markdown_it import MarkdownIt

_HTML_TARGET = re.compile(r'(?:src|href|id)="([^"]+)"')


def _tokens(page: Path):
    for token in MarkdownIt('commonmark').enable('table').parse(page.read_text()):
        yield token
        yield from token.children or ()


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub and the site give to headings."""
    used: Counter = Counter()
    anchors = set()
    heading = False
    for token in MarkdownIt('commonmark').parse(page.read_text()):
        if token.type == 'heading_open':
            heading = True
        elif token.type == 'inline' and heading:
            words = ''.join(child.content for child in token.children)
            slug = re.sub(r'[^\w\- ]', '', words.lower()).replace(' ', '-')
            anchors.add(f'{slug}-{used[slug]}' if used[slug] else slug)
            used[slug] += 1
            heading = False
    return anchors


def _targets(page: Path):
    for token in _tokens(page):
        if token.type == 'link_open':
            yield token.attrs['href']
        elif token.type == 'image':
            yield token.attrs['src']
        elif token.type.startswith('html'):
            yield from _HTML_TARGET.findall(token.content)


def test_every_link_leads_to_a_file_and_a_heading(page):
    dead = []
    for target in _targets(page):
        if '://' in target or target.startswith('mailto:'):
            continue
        path, _, anchor = target.partition('#')
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (
            anchor and file.suffix == '.md' and anchor not in _anchors(file)
        ):
            dead.append(target)
    assert not dead


def test_anchors_are_formed_as_on_github(tmp_path):
    page = tmp_path / 'page.md'
    page.write_text('# What `a.py` does: x, y\n\n## Twice\n\n## Twice\n')

    assert _anchors(page) == {'what-apy-does-x-y', 'twice', 'twice-1'}


def test_every_picture_has_an_alternative_text(page):
    pictures = [token for token in _tokens(page) if token.type == 'image']

    assert not [token.attrs['src'] for token in pictures if not token.content.strip()]


def test_every_page_is_in_the_navigation(repo_root):
    listed = (repo_root / 'mkdocs.yml').read_text()
    pages = sorted((repo_root / 'docs').rglob('*.md'))

    missing = [
        p.name for p in pages if str(p.relative_to(repo_root / 'docs')) not in listed
    ]
    assert not missing, 'name them under nav in mkdocs.yml'
