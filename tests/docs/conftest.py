"""The pages of the documentation, their code blocks and what these need to run."""

import argparse
import re
import runpy
import shlex
import shutil
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from markdown_it import MarkdownIt

from mcdrl_lab.commands import make_parser

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for path in [
        *ROOT.glob('*.md'),
        *ROOT.glob('configs/**/*.md'),
        *ROOT.glob('docs/**/*.md'),
        *ROOT.glob('mcdrl_*/**/*.md'),
    ]
    if '.mim' not in path.parts
)
_NOTE = re.compile(r'<!-- test: (\w+)(?: ([^,]*?))?(?:, .*)? -->')


@dataclass(frozen=True)
class Block:
    """A block of code, its place, and what the comment above it says."""

    page: Path
    line: int
    language: str
    text: str
    note: str = ''
    target: str = ''

    def __str__(self) -> str:
        return f'{self.page.relative_to(ROOT)}:{self.line}'


@dataclass(frozen=True)
class Command:
    """A command line, with the comment that follows it in its line."""

    block: Block
    words: tuple[str, ...]
    comment: str

    def __str__(self) -> str:
        return f'{self.block} {" ".join(self.words[:2])}'


@cache
def _all_blocks() -> list[Block]:
    return [block for page in PAGES for block in _blocks(page)]


def _blocks(page: Path) -> Iterator[Block]:
    note = target = ''
    for token in MarkdownIt('commonmark').parse(page.read_text(encoding='utf-8')):
        if token.type == 'html_block':
            found = _NOTE.search(token.content)
            note, target = (found[1], found[2] or '') if found else ('', '')
        elif token.type == 'fence':
            line = token.map[0] + 1
            yield Block(page, line, token.info, token.content, note, target)
            note = target = ''


def _statements(text: str) -> Iterator[str]:
    """Lines, joined where a quotation or a backslash continues on the next."""
    statement = ''
    for line in text.splitlines():
        statement += line + '\n'
        whole = statement.rstrip('\n')
        try:
            shlex.split(whole, comments=True)
        except ValueError:
            continue
        if not whole.endswith('\\'):
            yield whole.replace('\\\n', ' ')
            statement = ''
    assert not statement.strip(), f'this command does not end: {statement}'


def _commands(block: Block) -> Iterator[Command]:
    values: dict[str, str] = {}
    for statement in _statements(block.text):
        comment = re.search(r'(?:^|\s)#(.*)$', statement)
        words: list[str] = []
        for word in [*shlex.split(statement, comments=True), ';']:
            if set(word.rstrip(')')[-1:]) <= {';', '&', '|'}:
                words += [word.rstrip(';&|')] if word.rstrip(';&|') else []
                if words:
                    yield Command(block, tuple(words), comment[1] if comment else '')
                words = []
            elif not words and re.match(r'[A-Z_]+=', word):
                name, _, value = word.partition('=')
                values[name] = value
            else:
                words.append(re.sub(r'\$(\w+)', lambda m: values.get(m[1], m[1]), word))


@cache
def _cases() -> dict[str, list]:
    """The cases of the tests, by the name of the argument that takes them."""
    blocks = _all_blocks()
    return dict(
        page=PAGES,
        # Formulas are typeset; model cards keep the output of commands.
        shown_block=[
            block
            for block in blocks
            if block.language != 'math' and 'model_weights' not in block.page.parts
        ],
        python_block=[b for b in blocks if b.language == 'python'],
        command=[
            command
            for block in blocks
            if block.language in ('', 'bash', 'sh', 'console') and block.note != 'skip'
            for command in _commands(block)
        ],
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for name, values in _cases().items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, values, ids=str)


@pytest.fixture(scope='session')
def config_targets() -> set[str]:
    """Configs that a page tells the reader to write."""
    return {block.target for block in _all_blocks() if block.note == 'config'}


class _ParsedError(Exception):
    pass


@pytest.fixture
def parse_tool(monkeypatch, capsys):
    """Runs a tool up to the end of its parsing; returns the parser."""

    def parse(tool: Path | str, arguments: list[str] | None) -> argparse.ArgumentParser:
        """A tool is given as a file, a command of the lab by its name.

        ``None`` as arguments returns the parser without parsing anything.
        """
        if isinstance(tool, str):
            return parse_command(tool, arguments)
        original = argparse.ArgumentParser.parse_args
        found: list[argparse.ArgumentParser] = []

        def parse_args(parser, args=None, namespace=None):
            found.append(parser)
            if arguments is not None:
                original(parser, arguments)
            raise _ParsedError

        with monkeypatch.context() as patch:
            patch.setattr(argparse.ArgumentParser, 'parse_args', parse_args)
            patch.setattr(sys, 'argv', [str(tool)])
            try:
                runpy.run_path(str(tool), run_name='__main__')
            except _ParsedError:
                return found[0]
            except SystemExit:
                pytest.fail(f'{tool.name}: {capsys.readouterr().err}')
        raise AssertionError(f'{tool} parses no arguments.')

    def parse_command(
        name: str, arguments: list[str] | None
    ) -> argparse.ArgumentParser:
        parser = make_parser(name)
        try:
            if arguments is not None:
                parser.parse_args(arguments)
        except SystemExit:
            pytest.fail(f'{name}: {capsys.readouterr().err}')
        return parser

    return parse


@pytest.fixture(scope='session')
def desk(tmp_path_factory) -> Path:
    """A folder with the files that the pages' Python code names."""
    import torch
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    from mcdrl_lab.simulation.simulated_sites import Benchmark, write_benchmark

    folder = tmp_path_factory.mktemp('desk')
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    cv2.imwrite(str(folder / 'image.jpg'), image)
    write_benchmark(Benchmark(images_per_site=18, size=32), folder / 'data/endosim')
    with zipfile.ZipFile(folder / 'kvasir-seg.zip', 'w') as archive:
        for kind in ('images', 'masks'):
            pixels = image if kind == 'images' else np.full_like(image, 255)
            name = f'Kvasir-SEG/{kind}/a.jpg'
            archive.writestr(name, cv2.imencode('.jpg', pixels)[1].tobytes())

    init_default_scope('mmseg')
    name = 'mcdrl_clip-tiny-rn_fcn_6e_endosim-128x128.py'
    cfg = Config.fromfile(ROOT / 'configs/mcdrl' / name)
    cfg.dump(folder / 'config.py')
    model = MODELS.build(cfg.model)
    dictionary = model.decode_head.dictionary
    texts = torch.randn(len(dictionary.texts), dictionary.embed_dims)
    dictionary.fill(torch.nn.functional.normalize(texts, dim=1), 'ab' * 32)
    classes = dict(classes=('background', 'lesion'), palette=[[0, 0, 0], [255, 0, 0]])
    meta = dict(cfg=cfg.pretty_text, dataset_meta=classes)
    torch.save(dict(meta=meta, state_dict=model.state_dict()), folder / 'best.pth')
    shutil.copy(folder / 'best.pth', folder / 'checkpoint.pth')
    return folder
