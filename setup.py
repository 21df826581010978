import os
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.egg_info import egg_info

ROOT = Path(__file__).parent
PACKAGE = 'mcdrl_mmseg'

# What MMEngine and MIM look for in an installed package's folder `.mim`.
MIM_FILES = ('configs', 'tools', 'model-index.yml')


class BuildWithMIM(build_py):
    """Puts configs, tools and the model index into the package's folder `.mim`.

    A wheel gets copies. An editable install gets links in the source tree, so that
    it follows edits; pip announces it by `editable_mode`, not by a command name.
    """

    def run(self):
        super().run()
        if self.editable_mode:
            target = ROOT / PACKAGE / '.mim'
        else:
            target = Path(self.build_lib) / PACKAGE / '.mim'
        # Nothing of an earlier build may stay.
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in MIM_FILES:
            if self.editable_mode:
                link_or_copy(ROOT / name, target / name)
            else:
                copy(ROOT / name, target / name)


class PlugInFirst(egg_info):
    """Names the plug-in first in ``top_level.txt``: MIM looks there for `.mim`."""

    def run(self):
        super().run()
        file = Path(self.egg_info, 'top_level.txt')
        names = file.read_text().split()
        file.write_text('\n'.join(sorted(names, key=PACKAGE.__ne__)) + '\n')


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__'))
    else:
        shutil.copy2(source, target)


def link_or_copy(source: Path, target: Path) -> None:
    try:
        target.symlink_to(os.path.relpath(source, target.parent))
    except OSError:  # Windows without the privilege to make links
        copy(source, target)


def requirements(name: str) -> list[str]:
    """Read requirements/NAME.txt without comments and blank lines."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


def version() -> str:
    scope: dict = {}
    exec((ROOT / PACKAGE / 'version.py').read_text(), scope)
    return scope['__version__']


setup(
    name='mcdrl-mmseg',
    version=version(),
    description='MCDRL, causal intervention with CLIP text confounders, '
    'as a plug-in for MMSegmentation',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    python_requires='>=3.10',
    packages=find_packages(include=['mcdrl_*']),
    cmdclass={'build_py': BuildWithMIM, 'egg_info': PlugInFirst},
    package_data={
        'mcdrl_mmseg.clip': ['model_configs/*.json', 'model_weights/*'],
        'mcdrl_lab.results.html_report': ['templates/*'],
        'mcdrl_lab.serving': ['page/*'],
        'mcdrl_lab.trust': ['templates/*'],
    },
    install_requires=requirements('runtime'),
    extras_require={
        'mmseg': requirements('mmseg'),
        'openmmlab': requirements('openmmlab'),
        'lab': requirements('lab'),
        'export': requirements('export'),
        'dicom': requirements('dicom'),
        'serve': requirements('serve'),
        'text': requirements('text'),
        'hf': requirements('hf'),
        'slurm': requirements('slurm'),
        'dev': requirements('dev'),
    },
    classifiers=[
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
)
