"""Shows files that live outside docs/ as pages, and mends the links between them.

Links in the repository are relative to the file, as a reader of it needs them. On the
site some files lie elsewhere, and some (configs, tools) are no pages: links to these
become plain text.
"""

import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    'README.md': 'index.md',
    'CHANGELOG.md': 'changelog.md',
    'CONTRIBUTING.md': 'contributing.md',
    'mcdrl_mmseg/clip/model_weights/mcdrl-endo-lite0.md': (
        'model_cards/mcdrl-endo-lite0.md'
    ),
    'mcdrl_mmseg/clip/model_weights/mcdrl-endo-lite0-v2.md': (
        'model_cards/mcdrl-endo-lite0-v2.md'
    ),
    'mcdrl_mmseg/clip/model_weights/mcdrl-tiny-rn.md': 'model_cards/mcdrl-tiny-rn.md',
}
_SOURCES = {page: source for source, page in PAGES.items()}
_LINK = re.compile(r'(!?)\[([^\]\[]*)\]\(([^()\s]+)\)')


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(
    markdown: str, page: Page, config: MkDocsConfig, files: Files
) -> str:
    """Mend the links of a page."""
    here = page.file.src_uri
    source = PurePosixPath(_SOURCES.get(here, f'docs/{here}'))

    def mended(match: re.Match) -> str:
        mark, text, target = match.groups()
        path, _, anchor = target.partition('#')
        if not path or '://' in target or target.startswith('mailto:'):
            return match[0]
        path = os.path.normpath(source.parent / path)
        if path in PAGES:
            path = f'docs/{PAGES[path]}'
        elif not path.startswith('docs/') or not (
            files.get_file_from_path(path.removeprefix('docs/'))
        ):
            return text if (ROOT / path).exists() else match[0]
        where = os.path.relpath(path.removeprefix('docs/'), PurePosixPath(here).parent)
        return f'{mark}[{text}]({where}{"#" + anchor if anchor else ""})'

    return _LINK.sub(mended, markdown)
