"""The imports of the README, in processes that have imported nothing else."""

import re
import subprocess
import sys
from importlib.metadata import version

import pytest
import torch
from shared_imports import run_after

_BEFORE = 'import mcdrl_mmseg'
_LATER = ('timm', 'open_clip')
# Packages that import torchvision, and torchvision itself.
_NEEDS_TORCHVISION = re.compile(
    r'^(?:from|import) (timm|open_clip|torchvision|mmseg|mmpretrain)\b', re.MULTILINE
)


def run(program: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True
    )


def _blocks(text: str) -> list[str]:
    return re.findall(r'^```python\n(.*?)^```', text, re.MULTILINE | re.DOTALL)


@pytest.mark.reliability('silent', "README's imports, in a process of their own")
def test_the_imports_of_the_readme_work_in_their_order(repo_root):
    text = (repo_root / 'README.md').read_text(encoding='utf-8')
    (snippet,) = (block for block in _blocks(text) if 'init_model' in block)
    imports = [line for line in snippet.splitlines() if re.match('from|import', line)]
    assert len(imports) == 2
    done = run('\n'.join(imports))
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope='module')
def imported_after() -> dict[str, tuple[int, str]]:
    return run_after(_BEFORE, {name: f'import {name}' for name in _LATER})


@pytest.mark.parametrize('package', _LATER)
def test_packages_that_need_torchvision_can_be_imported_after_the_package(
    imported_after, package
):
    code, said = imported_after[package]
    assert code == 0, said


@pytest.mark.skipif(
    ('+cpu' in torch.__version__) == ('+cpu' in version('torchvision')),
    reason='this torch and torchvision are a pair',
)
def test_a_torch_and_torchvision_that_do_not_match_fail_as_documented():
    done = run('import timm')
    assert done.returncode
    assert 'operator torchvision::nms does not exist' in done.stderr


def test_every_page_imports_the_package_before_packages_that_need_torchvision(
    repo_root,
):
    pages = [repo_root / 'README.md', *sorted((repo_root / 'docs').glob('*.md'))]
    found = 0
    for page in pages:
        for block in _blocks(page.read_text(encoding='utf-8')):
            first = _NEEDS_TORCHVISION.search(block)
            if first is None:
                continue
            found += 1
            before = re.search(r'^(from|import) mcdrl_\w+', block, re.MULTILINE)
            assert before and before.start() < first.start(), f'{page.name}: {block}'
    assert found
