"""A file name is unique: the name of a module identifies it."""

import collections
import pathlib

PACKAGES = ('mcdrl_mmseg', 'mcdrl_lab', 'mcdrl_common')


def test_no_two_modules_have_the_same_name(repo_root):
    files = [
        file.relative_to(repo_root)
        for package in PACKAGES
        for file in pathlib.Path(repo_root, package).rglob('[a-z]*.py')
        if '.mim' not in file.parts
    ]
    assert len(files) > 100
    names = collections.Counter(file.name for file in files)
    assert not [str(file) for file in files if names[file.name] > 1]
