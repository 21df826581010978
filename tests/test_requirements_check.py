import importlib.metadata
import sys
import types

import pytest

from mcdrl_mmseg.requirements_check import REQUIREMENTS, Requirement, check_requirements

WANTED = Requirement('wanted_module', '1.2.0', ('onedl-wanted', 'wanted'))


@pytest.fixture
def installed(monkeypatch):
    """Distribution name -> version, in place of this environment's."""
    versions = {}

    def version(name):
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(importlib.metadata, 'version', version)
    return versions


def test_the_packages_of_this_environment_pass():
    check_requirements()


def test_every_package_that_the_plug_in_requires_is_checked():
    assert [r.module for r in REQUIREMENTS] == [
        'torch',
        'mmengine',
        'mmcv',
        'mmseg',
        'open_clip',
    ]


@pytest.mark.parametrize('version', ['1.2.0', '1.2.0+cpu', '1.10.0', '2.0.0rc1'])
@pytest.mark.parametrize('name', ['onedl-wanted', 'wanted'])
def test_either_distribution_in_a_sufficient_version_passes(installed, name, version):
    installed[name] = version
    check_requirements((WANTED,))


@pytest.mark.parametrize('version', ['1.1.9', '1.2.0rc1', '0.10.0', 'unknown'])
def test_a_too_old_version_is_an_error_with_the_required_one_and_the_command(
    installed, version
):
    installed['wanted'] = version
    with pytest.raises(ImportError) as caught:
        check_requirements((WANTED,))
    assert str(caught.value) == (
        f'mcdrl_mmseg needs wanted_module >= 1.2.0, but {version} was found. '
        'Install it with: pip install "onedl-wanted>=1.2.0" (or "wanted")'
    )


def test_a_missing_package_is_an_error_with_the_required_version_and_the_command(
    installed,
):
    with pytest.raises(ImportError) as caught:
        check_requirements((WANTED,))
    assert str(caught.value) == (
        'mcdrl_mmseg needs wanted_module >= 1.2.0, but it is not installed. '
        'Install it with: pip install "onedl-wanted>=1.2.0" (or "wanted")'
    )


def test_the_first_missing_package_is_named(installed):
    other = Requirement('other_module', '1.0', ('other',))
    installed['wanted'] = '1.2.0'
    with pytest.raises(ImportError, match=r'needs other_module >= 1\.0'):
        check_requirements((WANTED, other))


@pytest.mark.parametrize(
    ('version', 'passes'), [('1.2.0', True), ('1.1.0', False), (None, False)]
)
def test_without_metadata_the_version_in_the_module_counts(
    installed, monkeypatch, version, passes
):
    module = types.ModuleType('wanted_module')
    if version is not None:
        module.__version__ = version
    monkeypatch.setitem(sys.modules, 'wanted_module', module)
    if passes:
        check_requirements((WANTED,))
    else:
        with pytest.raises(ImportError, match=r'wanted_module >= 1\.2\.0'):
            check_requirements((WANTED,))
