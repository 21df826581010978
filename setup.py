from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def requirements(name: str) -> list[str]:
    """Read requirements/NAME.txt without comments and blank lines."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


def version() -> str:
    scope: dict = {}
    exec((ROOT / 'mcdrl_mmseg' / 'version.py').read_text(), scope)
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
    packages=find_packages(include=['mcdrl_mmseg', 'mcdrl_mmseg.*']),
    package_data={
        'mcdrl_mmseg.clip': ['model_configs/*.json', 'model_weights/*'],
        'mcdrl_mmseg.reporting': ['templates/*'],
        'mcdrl_mmseg.serving': ['page/*'],
    },
    install_requires=requirements('runtime'),
    extras_require={
        'mmseg': requirements('mmseg'),
        'openmmlab': requirements('openmmlab'),
        'deploy': requirements('deploy'),
        'dicom': requirements('dicom'),
        'serve': requirements('serve'),
        'dev': requirements('dev'),
    },
    classifiers=[
        'Programming Language :: Python :: 3',
        'License :: OSI Approved :: Apache Software License',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
)
