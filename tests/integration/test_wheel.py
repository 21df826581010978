"""The wheel, built from the source archive and used outside the repository.

Without ``MCDRL_WHEEL_VENV`` it is installed into an environment that borrows this
one's packages; ``make test-wheel`` names an empty one with the wheel and MIM in it.
"""

import json
import os
import runpy
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

PACKAGE = 'mcdrl_mmseg'
PACKAGES = (PACKAGE, 'mcdrl_lab', 'mcdrl_common')
SOURCES = (
    *('LICENSE', 'MANIFEST.in', 'Makefile', 'README.md', 'model-index.yml'),
    *('pyproject.toml', 'setup.py'),
    *('configs', 'docs', *PACKAGES, 'requirements', 'tests', 'tools'),
)
UNSHIPPED = shutil.ignore_patterns('__pycache__', '.mim', '*.egg-info')
BUILD_ARCHIVE = 'from setuptools import build_meta; build_meta.build_sdist("dist")'
BASE = 'mcdrl/mcdrl_clip-tiny-rn_segformer_5e_endoscopy-sites-128x128.py'
OPTIONS = (
    'train_cfg.max_epochs=1',
    'custom_hooks.1.begin=0',
    'train_dataloader.batch_size=2',
    *(f'{part}_dataloader.dataset.max_images=2' for part in ('train', 'val', 'test')),
    *(f'{part}_dataloader.num_workers=0' for part in ('train', 'val', 'test')),
    'val_dataloader.persistent_workers=False',
)


def run(*command, cwd, **environment) -> str:
    """Run a command outside the repository; its output."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, 'OMP_NUM_THREADS': '1', **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def pip(*arguments, cwd) -> str:
    return run(sys.executable, '-m', 'pip', *arguments, cwd=cwd)


@pytest.fixture(scope='module')
def sources(tmp_path_factory, repo_root) -> Path:
    """A copy of the repository's files."""
    copy = tmp_path_factory.mktemp('sources')
    for name in SOURCES:
        if (repo_root / name).is_dir():
            shutil.copytree(repo_root / name, copy / name, ignore=UNSHIPPED)
        else:
            shutil.copy2(repo_root / name, copy / name)
    return copy


@pytest.fixture(scope='module')
def wheel(sources) -> Path:
    """The wheel that is built from the source archive."""
    run(sys.executable, '-c', BUILD_ARCHIVE, cwd=sources)
    (archive,) = sources.glob('dist/*.tar.gz')
    options = ('--no-deps', '--no-build-isolation', '--no-index', '-w', 'dist')
    pip('wheel', *options, archive, cwd=sources)
    (wheel,) = sources.glob('dist/*.whl')
    return wheel


def borrowing_environment(folder: Path) -> Path:
    """An environment with all of this one's packages but ours; its interpreter."""
    run(sys.executable, '-m', 'venv', '--without-pip', folder / 'venv', cwd=folder)
    own = Path(sysconfig.get_path('purelib'))
    borrowed = folder / 'borrowed'
    borrowed.mkdir()
    for entry in own.iterdir():
        if PACKAGE not in entry.name:
            (borrowed / entry.name).symlink_to(entry)
    (site_packages,) = folder.glob('venv/lib/python*/site-packages')
    (site_packages / 'borrowed.pth').write_text(f'{borrowed}\n')
    return folder / 'venv/bin/python'


def installed_versions(python: Path) -> dict[str, str]:
    """Name -> version of everything that an environment has."""
    listed = pip('--python', python, 'list', '--format=json', cwd=python.parent)
    (line,) = (line for line in listed.splitlines() if line.startswith('['))
    return {entry['name']: entry['version'] for entry in json.loads(line)}


@pytest.fixture(scope='module')
def borrowed(wheel, tmp_path_factory) -> tuple[Path, dict[str, str], dict[str, str]]:
    """An environment with this one's packages, into which the wheel was installed.

    Returns:
        Its interpreter, and the versions before and after.
    """
    folder = tmp_path_factory.mktemp('environment')
    python = borrowing_environment(folder)
    before = installed_versions(python)
    # All requirements of the wheel are checked, and none of them can be downloaded.
    pip('--python', python, 'install', '--no-index', wheel, cwd=folder)
    return python, before, installed_versions(python)


@pytest.fixture(scope='module')
def python(request) -> Path:
    """Interpreter of an environment with the wheel installed."""
    named = os.environ.get('MCDRL_WHEEL_VENV')
    if named:
        return Path(named) / 'bin/python'
    return request.getfixturevalue('borrowed')[0]


def package_folder(python: Path) -> Path:
    """Where the package is installed in an environment; it is not imported."""
    code = (
        'from importlib.util import find_spec; '
        f'print(find_spec({PACKAGE!r}).submodule_search_locations[0])'
    )
    return Path(run(python, '-c', code, cwd=python.parent).strip())


def files_below(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob('*')
        if path.is_file() and '__pycache__' not in path.parts
    }


def test_wheel_holds_every_config_tool_and_data_file(wheel, sources):
    held = set(zipfile.ZipFile(wheel).namelist())
    for name in ('configs', 'tools'):
        for path in files_below(sources / name):
            assert f'{PACKAGE}/.mim/{name}/{path}' in held, path
    for package in PACKAGES:
        for path in files_below(sources / package):
            assert f'{package}/{path}' in held, path
    assert f'{PACKAGE}/.mim/model-index.yml' in held
    assert not [name for name in held if name.startswith(('tests/', 'findings/'))]


def test_installing_adds_our_package_and_changes_no_other(borrowed, wheel):
    """README: it touches no mmseg, mmcv, mmengine or mmpretrain that is there."""
    _, before, after = borrowed
    for module in ('mmseg', 'mmcv', 'mmengine', 'mmpretrain'):
        assert set(packages_distributions()[module]) & before.keys(), module
    name, version = wheel.name.split('-')[:2]
    assert after == {**before, name.replace('_', '-'): version}


def test_the_package_is_imported_from_the_environment(python, repo_root):
    assert repo_root / PACKAGE != package_folder(python)
    assert package_folder(python).parent.name == 'site-packages'


def test_the_installed_version_is_that_of_the_package(python):
    code = f'import importlib.metadata as m; print(m.version({PACKAGE!r}))'
    version = run(python, '-c', code, cwd=python.parent).strip()
    source = runpy.run_path(str(package_folder(python) / 'version.py'))
    assert version == source['__version__']


def test_every_config_that_the_model_index_names_exists(sources):
    index = yaml.safe_load((sources / 'model-index.yml').read_text())
    files = [
        model['Config']
        for part in index['Import']
        for model in yaml.safe_load((sources / part).read_text())['Models']
    ]
    assert files
    assert [file for file in files if not (sources / file).is_file()] == []


def test_a_config_outside_the_repository_is_trained_and_tested_by_installed_tools(
    python, tmp_path, drawn_sites
):
    config = tmp_path / 'mine.py'
    base = f'__import__({PACKAGE!r}).config_path({BASE!r})'
    config.write_text(f'_base_ = [{base}]\nmy_entry = 1\n')
    mim = python.parent / 'mim'
    folder = package_folder(python) / '.mim/tools'

    def tool(name, *arguments):
        command = [mim, name, PACKAGE] if mim.is_file() else [python]
        if not mim.is_file():
            command.append(folder / f'{name}.py')
        return run(
            *(*command, config, *arguments, '--work-dir', tmp_path / 'work'),
            *('--cfg-options', *OPTIONS),
            cwd=tmp_path,
            MCDRL_DATA_ROOT=str(drawn_sites),
            PATH=f'{python.parent}{os.pathsep}{os.environ["PATH"]}',
        )

    assert 'Confounder dictionary built' in tool('train')
    checkpoint = tmp_path / 'work/epoch_1.pth'
    named = ['--checkpoint', checkpoint] if mim.is_file() else [checkpoint]
    assert 'mDice_fg' in tool('test', *named)
    assert 'my_entry' in (tmp_path / 'work/mine.py').read_text()


def test_the_first_top_level_module_is_the_plug_in_for_mim(python):
    code = (
        'import importlib.metadata as m; '
        "print(m.distribution('mcdrl-mmseg').read_text('top_level.txt').split())"
    )
    modules = run(python, '-c', code, cwd=python.parent)
    assert modules.strip() == "['mcdrl_mmseg', 'mcdrl_common', 'mcdrl_lab']"


def test_mim_runs_a_tool_of_the_package(python, tmp_path):
    mim = python.parent / 'mim'
    if not mim.is_file():
        pytest.skip('no MIM in this environment: make test-wheel has it')
    path = f'{python.parent}{os.pathsep}{os.environ["PATH"]}'
    # Behind '--': MIM's own help knows the packages of OpenMMLab alone.
    asked = ('run', PACKAGE, 'predict', '--', '--help')
    shown = run(mim, *asked, cwd=tmp_path, PATH=path)
    assert 'Example: python tools/predict.py' in shown
    assert 'mcdrl-mmseg' in run(mim, 'list', cwd=tmp_path, PATH=path)


def test_editable_install_links_configs_and_tools(sources, tmp_path):
    python = borrowing_environment(tmp_path)
    options = ('--no-deps', '--no-index', '--no-build-isolation', '-e')
    pip('--python', python, 'install', *options, sources, cwd=tmp_path)
    assert package_folder(python) == sources / PACKAGE
    path = sources / PACKAGE / '.mim/configs' / BASE
    assert path.samefile(sources / 'configs' / BASE)
    assert (sources / PACKAGE / '.mim/tools/train.py').samefile(
        sources / 'tools/train.py'
    )
