"""Names of folders to write, as the tools and the lab's commands read them."""

import argparse
import runpy
import sys
from pathlib import Path

import pytest

from mcdrl_common.folder_argument import folder_name


@pytest.mark.parametrize('name', ['out', 'a.png/out', 'drawn_c1_1.0', 'data.v2', '.'])
def test_a_folder_may_have_dots_in_its_name(name):
    assert folder_name(name) == Path(name)


@pytest.mark.parametrize('name', ['data.zip', 'x.md', 'out/mask.PNG', 'site.tar.gz'])
def test_names_of_files_are_refused(name):
    with pytest.raises(argparse.ArgumentTypeError, match='writes several files to a'):
        folder_name(name)


def test_an_empty_name_is_not_the_current_folder():
    with pytest.raises(argparse.ArgumentTypeError, match='the name of a folder is mi'):
        folder_name('')


@pytest.mark.parametrize('tool', ['test', 'predict', 'explain'])
def test_tools_that_write_a_folder_refuse_the_name_of_a_file(
    repo_root, monkeypatch, capsys, tool
):
    arguments = ['a.pth', 'b.png', '--out', 'mask.png']
    monkeypatch.setattr(sys, 'argv', [f'{tool}.py', *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(repo_root / f'tools/{tool}.py'), run_name='__main__')
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "argument --out: 'mask.png': this command writes several files" in said
