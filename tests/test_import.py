"""Importing the package, each time in a process of its own."""

import json
import subprocess
import sys

import pytest

COMPONENTS = {
    'MODELS': [
        'CLIPVisionBackbone',
        'CLIPGuidedBackbone',
        'CLIPRegionSelector',
        'ConfounderDictionary',
        'CausalIntervention',
        'CausalInterventionHead',
        'CausalAlignmentLoss',
        'CLIPContrastiveLoss',
    ],
    'HOOKS': ['ConfounderDictionaryHook', 'InterventionWarmupHook'],
    'DATASETS': ['EndoscopySiteDataset'],
    'TRANSFORMS': ['LoadLesionMask'],
    'METRICS': ['SiteLesionMetric'],
}

FIND_MISSING = f"""
import mmseg.registry
from mmengine.registry import init_default_scope
init_default_scope('mmseg')
missing = [
    name
    for registry, names in {COMPONENTS!r}.items()
    for name in names
    if getattr(mmseg.registry, registry).get(name) is None
]
"""

# What `import mcdrl_mmseg` stands on anyway. torchvision must be made importable
# first, as the package itself does it.
IMPORT_MMSEG = """
import importlib.util, sys
spec = importlib.util.find_spec('mcdrl_mmseg')
compat = importlib.util.spec_from_file_location(
    'compat_alone', spec.submodule_search_locations[0] + '/compat.py')
module = importlib.util.module_from_spec(compat)
compat.loader.exec_module(module)
module.declare_torchvision_operators()
import mmseg.models, mmseg.datasets, mmseg.engine, mmseg.evaluation
"""


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=False
    )


def printed(code: str):
    done = run(code)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope='module')
def after_mmseg() -> dict:
    """Components missing, packages added and time taken by an import after mmseg's."""
    return printed(
        f"""
{IMPORT_MMSEG}
import json, time
begin = time.process_time()
before = {{name.partition('.')[0] for name in sys.modules}}
import mcdrl_mmseg
seconds = time.process_time() - begin
after = {{name.partition('.')[0] for name in sys.modules}}
{FIND_MISSING}
print(json.dumps(dict(missing=missing, added=sorted(after - before), seconds=seconds)))
"""
    )


def test_import_after_mmseg_registers_every_component(after_mmseg):
    assert after_mmseg['missing'] == []


def test_import_takes_less_than_a_second_beyond_mmseg(after_mmseg):
    # Of the processor's time: what other programs take is not counted.
    assert after_mmseg['seconds'] < 1


def test_import_before_mmseg_registers_every_component():
    assert (
        printed(
            f"""
import json
import mcdrl_mmseg
import mmseg.models, mmseg.datasets, mmseg.engine, mmseg.evaluation
{FIND_MISSING}
print(json.dumps(missing))
"""
        )
        == []
    )


def test_import_adds_no_heavy_package_beyond_what_mmseg_imports(after_mmseg):
    heavy = {
        'matplotlib',
        'mmpretrain',
        'monai',
        'open_clip',
        'pandas',
        'safetensors',
        'scipy',
        'sklearn',
        'timm',
        'transformers',
    }
    assert heavy.isdisjoint(after_mmseg['added']), after_mmseg['added']


@pytest.mark.parametrize(
    ('module', 'distributions', 'minimum'),
    [
        ('torch', ['torch'], '2.3.0'),
        ('mmengine', ['onedl-mmengine', 'mmengine'], '0.10.7'),
        ('mmcv', ['onedl-mmcv', 'mmcv'], '2.1.0'),
        ('mmseg', ['onedl-mmsegmentation', 'mmsegmentation'], '1.2.2'),
        ('open_clip', ['open_clip_torch'], '3.0.0'),
    ],
)
def test_import_without_a_needed_package_gives_one_error_naming_it(
    module, distributions, minimum
):
    done = run(
        f"""
import importlib.metadata, sys
real = importlib.metadata.version
def version(name):
    if name in {distributions!r}:
        raise importlib.metadata.PackageNotFoundError(name)
    return real(name)
importlib.metadata.version = version
sys.modules[{module!r}] = None
import mcdrl_mmseg
"""
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith('ImportError: ')
    assert f'needs {module} >= {minimum}' in last
    assert 'is not installed' in last
    assert f'pip install "{distributions[0]}>={minimum}"' in last
    assert 'During handling' not in done.stderr
