"""Importing the package, each time in a process that has not imported it before."""

import json
import subprocess
import sys

import pytest
from shared_imports import printed_after

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

OWN = ('mcdrl_mmseg', 'mcdrl_common', 'mcdrl_lab')

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

# What `import mcdrl_mmseg` imports in any case. torchvision must be made importable
# first, as the package itself does.
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


# What an import after mmseg adds, lacks and takes, with the collector off.
AFTER_MMSEG = f"""
import gc, json, sys, time
gc.disable()
begin = time.process_time()
before = {{name.partition('.')[0] for name in sys.modules}}
import mcdrl_mmseg
seconds = time.process_time() - begin
# A module may be there without its package, as mmpretrain's that compat.py loads.
after = {{name.partition('.')[0] for name in sys.modules}} & set(sys.modules)
{FIND_MISSING}
found = dict(missing=missing, added=sorted(after - before), seconds=seconds)
print(json.dumps(dict(**found, collects=gc.isenabled())))
"""

# The checkpoint holds an object that the continued MMEngine loads, and that of
# OpenMMLab with an older torch.
LOAD_CHECKPOINTS = """
import argparse, json
import torch
from mmengine.runner import checkpoint, load_checkpoint
def state():
    loader = checkpoint.CheckpointLoader
    loaders = [loader._get_checkpoint_loader(path) for path in ('a.pth', 'http://a.b/c')]
    names = [f'{one.__module__}.{one.__name__}' for one in loaders]
    allowed = len(torch.serialization.get_safe_globals())
    return [*names, checkpoint.load_url.__module__, allowed]
content = dict(
    state_dict=torch.nn.Linear(2, 2).state_dict(), meta=argparse.Namespace(epoch=3)
)
torch.save(content, PATH)
def outcome():
    try:
        read = load_checkpoint(torch.nn.Linear(2, 2), PATH, map_location='cpu')
        return read['meta'].epoch
    except Exception as error:
        return type(error).__name__
seen = [[state(), outcome()]]
import mcdrl_mmseg
seen.append([state(), outcome()])
import mcdrl_mmseg.apis
seen.append([state(), outcome()])
print(json.dumps(seen))
"""


@pytest.fixture(scope='module')
def printed(tmp_path_factory) -> dict:
    """The output of each program that begins with an import of mmseg."""
    path = tmp_path_factory.mktemp('stock') / 'stock.pth'
    return printed_after(
        IMPORT_MMSEG,
        {
            'after mmseg': AFTER_MMSEG,
            'checkpoints': f'PATH = {str(path)!r}\n{LOAD_CHECKPOINTS}',
        },
    )


@pytest.fixture(scope='module')
def after_mmseg(printed) -> dict:
    return printed['after mmseg']


def test_an_import_after_mmseg_registers_every_component(after_mmseg):
    assert after_mmseg['missing'] == []


def test_the_import_takes_less_than_a_second_in_addition_to_mmseg(after_mmseg):
    # Processor time: that of other programs is not counted.
    assert after_mmseg['seconds'] < 1


@pytest.fixture(scope='module')
def before_mmseg() -> dict:
    """What an import loads and does; what is missing with mmseg, and with all modules.

    All without fcntl, which Windows lacks.
    """
    program = f"""
import gc, json, sys
sys.modules['fcntl'] = None
searches = []
gc.callbacks.append(lambda *search: searches.append(search))
import mcdrl_mmseg
garbage = dict(searches=len(searches), collects=gc.isenabled())
own = [name for name in sys.modules if name.partition('.')[0] in {OWN!r}]
monai = 'monai' in sys.modules
import mmseg.models, mmseg.datasets, mmseg.engine, mmseg.evaluation
{FIND_MISSING}
found = dict(own=own, missing=missing, monai=monai, **garbage)
import importlib, pkgutil
import mcdrl_common
for package in (mcdrl_mmseg, mcdrl_common):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):
        importlib.import_module(module.name)
        found['last'] = module.name
{FIND_MISSING}
print(json.dumps(dict(found, missing_at_last=missing)))
"""
    done = run(program)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_an_import_before_mmseg_registers_every_component(before_mmseg):
    assert before_mmseg['missing'] == []


def test_the_import_pauses_garbage_collection_and_restores_its_state(
    before_mmseg, after_mmseg
):
    # Without the pause there are two thousand; a few happen before it.
    assert before_mmseg['searches'] < 100
    assert before_mmseg['collects']
    assert not after_mmseg['collects'], 'who had it off keeps it off'


def test_the_import_adds_no_heavy_package_to_those_of_mmseg(after_mmseg):
    heavy = {
        'fcntl',
        'filelock',
        'matplotlib',
        'mmpretrain',
        'monai',
        'open_clip',
        'pandas',
        'pycocotools',
        'rich',
        'safetensors',
        'scipy',
        'sklearn',
        'tarfile',
        'timm',
        'transformers',
        'zipfile',
    }
    assert heavy.isdisjoint(after_mmseg['added']), after_mmseg['added']


def test_the_import_does_not_load_monai(before_mmseg):
    assert 'mcdrl_mmseg.evaluation.site_lesion_metric' in before_mmseg['own']
    assert not before_mmseg['monai']


def test_the_import_loads_at_most_60_own_modules_and_none_of_the_lab(before_mmseg):
    names = before_mmseg['own']
    assert len(names) <= 60, names
    assert not [name for name in names if name.startswith('mcdrl_lab')]
    # Modules that draw, verify, read masks, call open_clip or serve tools are loaded
    # where they are used.
    rooms = ('apis', 'visualization', 'clip.towers', 'safe_loading')
    late = ('mcdrl_common.verification', *(f'mcdrl_mmseg.{room}' for room in rooms))
    assert not [name for name in names if name.startswith(late)]


def test_all_modules_can_be_imported_without_fcntl(before_mmseg):
    assert before_mmseg['last'].startswith('mcdrl_common.')
    assert before_mmseg['missing_at_last'] == []


@pytest.fixture(scope='module')
def loading(printed) -> list:
    """How MMEngine loads: without the plug-in, with it, and with its APIs."""
    return printed['checkpoints']


def test_only_importing_the_apis_changes_how_mmengine_loads_checkpoints(loading):
    before, after, guarded = (state for state, _ in loading)
    assert after == before
    assert guarded[0] == 'mcdrl_mmseg.safe_loading.load_from_local'
    assert guarded[2] == 'mcdrl_mmseg.safe_loading'


def test_a_stock_checkpoint_loads_the_same_with_and_without_the_plug_in(loading):
    without, beside, guarded = (outcome for _, outcome in loading)
    assert beside == without
    assert guarded == 'UnsafeCheckpointError'


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
def test_an_import_without_a_required_package_gives_one_error_that_names_it(
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
