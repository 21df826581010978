"""Commands, tools, configs and options named in the documentation exist."""

import argparse
import ast
import importlib
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from mcdrl_lab.commands import COMMANDS

_FOLDERS = 'configs|docs|findings|mcdrl_(?:mmseg|lab|common)|requirements|tests|tools'
_PATH = re.compile(rf'(?:{_FOLDERS})/[\w./{{}},*-]+')
_OPTION = re.compile(r'(?<![\w-])--[a-z][a-z0-9-]*')
# The arguments of a script before those of the Python tool that it starts.
_SCRIPTS = {
    'dist_train.sh': (1, ['GPUS']),
    'dist_test.sh': (2, ['GPUS']),
    'slurm_train.sh': (0, ['PARTITION', 'JOB']),
    'slurm_test.sh': (0, ['PARTITION', 'JOB']),
}
# Options of pip, docker and other programs that the pages mention.
_OTHERS = {'--no-deps', '--no-build-isolation', '--index-url'}


def _expanded(path: str) -> list[str]:
    """a{b,c}d -> abd, acd."""
    found = re.search(r'\{([^{}]*)\}', path)
    if found is None:
        return [path]
    start, end = path[: found.start()], path[found.end() :]
    return [p for part in found[1].split(',') for p in _expanded(start + part + end)]


def _is_placeholder(path: str) -> bool:
    return '...' in path or bool(re.search(r'[A-Z]{3,}(?!\.md)|site_[ab]', path))


def _missing(words: str, root: Path, known: set[str]) -> list[str]:
    return [
        path
        for found in _PATH.findall(words)
        if not _is_placeholder(found)
        for path in _expanded(found.rstrip('.,'))
        if path not in known and not list(root.glob(path.rstrip('/')))
    ]


def _options(parser: argparse.ArgumentParser) -> set[str]:
    options = set()
    for action in parser._actions:
        options.update(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            for part in action.choices.values():
                options |= _options(part)
    return options


def _tool(words: list[str], root: Path) -> tuple[Path | str, list[str]] | None:
    """The tool, or the lab's command, that a command starts, and its arguments."""
    if words[1:3] == ['-m', 'mcdrl_lab']:
        assert words[3:4], 'python -m mcdrl_lab needs a command'
        return words[3], words[4:]
    for number, word in enumerate(words):
        if not re.fullmatch(r'(\./)?tools/[\w/]+\.(py|sh)', word):
            continue
        path, arguments = root / word, words[number + 1 :]
        assert path.is_file(), f'{word} does not exist'
        if path.name in _SCRIPTS:
            place, names = _SCRIPTS[path.name]
            assert len(arguments) >= place + len(names), f'{word} needs {names}'
            del arguments[place : place + len(names)]
            path = root / 'tools' / f'{path.stem.partition("_")[2]}.py'
        return path, arguments
    return None


def _check_python(text: str) -> None:
    """Check that what ``python -c`` imports exists."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for name in node.names:
                importlib.import_module(name.name)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            for name in node.names:
                if not hasattr(module, name.name):
                    importlib.import_module(f'{node.module}.{name.name}')


def _check_extras(words: tuple[str, ...], root: Path) -> None:
    extras = re.findall(r"'(\w+)': requirements", (root / 'setup.py').read_text())
    for word in words:
        found = re.fullmatch(r'(?:\.|mcdrl-mmseg|\S+\.whl)\[([\w,]+)\]', word)
        assert not found or set(found[1].split(',')) <= set(extras), word


def test_a_documented_command_can_be_given(
    command, repo_root, parse_tool, config_targets
):
    words = list(command.words)

    assert not _missing(' '.join(words), repo_root, config_targets)
    if 'make' in words[:1]:
        targets = re.findall(r'^([\w-]+):', (repo_root / 'Makefile').read_text(), re.M)
        named = [word for word in words[1:] if re.fullmatch(r'[a-z][a-z-]*', word)]
        assert set(named) <= set(targets)
    if words[:2] == ['python', '-c']:
        _check_python(words[2])
    if 'pip' in words:
        _check_extras(command.words, repo_root)
    found = _tool(words, repo_root)
    if found is not None:
        tool, arguments = found
        options = _options(parse_tool(tool, arguments))
        assert set(_OPTION.findall(command.comment)) <= options


def _examples(parser: argparse.ArgumentParser) -> list[str]:
    """Example commands in the help of a parser and of its subparsers."""
    text = (parser.epilog or '').removeprefix('Example: ')
    found = [part for part in re.split(r'; | && |\. ', text) if 'python ' in part[:9]]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for part in action.choices.values():
                found += _examples(part)
    return found


@pytest.mark.parametrize('name', [*COMMANDS, 'tools'])
def test_the_examples_of_help_can_be_given(name, repo_root, parse_tool):
    tools = sorted(repo_root.glob('tools/*.py')) if name == 'tools' else [name]
    for tool in tools:
        for example in _examples(parse_tool(tool, None)):
            assert not _missing(example, repo_root, set())
            named, arguments = _tool(example.split(), repo_root)
            assert named == tool
            parse_tool(named, arguments)


@pytest.fixture
def all_options(repo_root, parse_tool) -> set[str]:
    tools = sorted(repo_root.glob('tools/**/*.py'))
    parsers = [*tools, *COMMANDS]
    return set().union(*(_options(parse_tool(tool, None)) for tool in parsers))


def _code_spans(page: Path):
    for token in MarkdownIt('commonmark').enable('table').parse(page.read_text()):
        for child in token.children or ():
            if child.type == 'code_inline':
                yield child.content


def test_paths_in_prose_exist(page, repo_root, config_targets):
    spans = ' '.join(s for s in _code_spans(page) if _PATH.match(s.split()[0]))

    assert not _missing(spans, repo_root, config_targets)


def test_options_in_prose_belong_to_a_tool(repo_root, all_options):
    unknown = {
        f'{page.name}: {option}'
        for page in [repo_root / 'README.md', *repo_root.glob('docs/*.md')]
        for span in _code_spans(page)
        if span.startswith('--')
        for option in _OPTION.findall(span)
        if option not in all_options | _OTHERS
    }
    assert not unknown


def test_an_unknown_option_of_a_tool_is_found(repo_root, parse_tool):
    with pytest.raises(pytest.fail.Exception, match='unrecognized arguments: --epoch'):
        parse_tool(repo_root / 'tools/train.py', ['config.py', '--epoch', '3'])


def test_an_unknown_option_of_a_lab_command_is_found(parse_tool):
    with pytest.raises(pytest.fail.Exception, match='unrecognized arguments: --epoch'):
        parse_tool('compare', ['records.jsonl', 'a', 'b', '--epoch', '3'])


def test_a_path_that_does_not_exist_is_found(repo_root):
    words = 'python tools/train.py configs/{mcdrl,basics}/ NAME configs/SITE/x.py'

    assert _missing(words, repo_root, set()) == ['configs/basics/']
