"""The tools without network access, and with a checkpoint from a stranger."""

import json
import os
import sys

import cv2
import pytest
import torch

BASE = 'configs/mcdrl/mcdrl_clip-tiny-rn_segformer_5e_endoscopy-sites-128x128.py'
SMALL = """
custom_hooks = [dict(type='ConfounderDictionaryHook')]
model = dict(backbone=dict(pretrained='builtin'))
train_dataloader = dict(
    batch_size=4, num_workers=0, persistent_workers=False, dataset=dict(max_images=4)
)
_two_images = dict(
    num_workers=0, persistent_workers=False, dataset=dict(max_images=2)
)
val_dataloader = _two_images
test_dataloader = _two_images
train_cfg = dict(max_epochs=1)
"""


class Runs:
    """Runs a command when it is unpickled."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.system, (f'touch {self.place}',)


@pytest.fixture(scope='module')
def bench(new_bench, drawn_sites):
    return new_bench('security', drawn_sites)


@pytest.fixture(scope='module')
def outcomes(bench, drawn_sites, repo_root) -> dict[str, str]:
    """Name of a command -> its output; all share a process and have no network."""
    config = bench.folder / 'security.py'
    config.write_text(f'_base_ = [{str(repo_root / BASE)!r}]\n{SMALL}')
    hostile = bench.folder / 'hostile/epoch_1.pth'
    hostile.parent.mkdir()
    place = bench.folder / 'ran'
    content = dict(state_dict={'weight': torch.ones(1)}, optimizer=Runs(place))
    torch.save(content, hostile)
    (hostile.parent / 'last_checkpoint').write_text(str(hostile))
    image = min(drawn_sites.glob('*/images/*'))

    def tool(name, *arguments):
        return [str(repo_root / 'tools' / name), *map(str, arguments)]

    def lab(*arguments):
        return ['-m', 'mcdrl_lab', *map(str, arguments)]

    train = tool('train.py', config, '--work-dir')
    out = bench.folder / 'out'
    commands = {
        'train': [*train, str(bench.folder / 'train')],
        'predict': tool(
            'predict.py', bench.folder / 'train/epoch_1.pth', image, '--out', out
        ),
        'hostile test.py': tool('test.py', config, hostile, '--work-dir', out),
        # It reads the work folder.
        'hostile train.py --resume': [*train, str(hostile.parent), '--resume'],
        'hostile train.py load_from=': [
            *train,
            str(bench.folder / 'started'),
            '--cfg-options',
            f'load_from={hostile}',
        ],
        'hostile predict.py': tool('predict.py', hostile, image, '--out', out),
        'hostile explain.py': tool('explain.py', hostile, image, '--out', out),
        'hostile export.py': tool(
            'export.py', hostile, '--size', 64, 64, '--out', out / 'model.onnx'
        ),
        'hostile serve': lab('serve', hostile, '--port', 0),
        'hostile embedding': lab('embedding', config, hostile),
    }
    done = bench.start(
        'tools',
        sys.executable,
        repo_root / 'tests/integration/probe/run_tools.py',
        json.dumps(commands),
    )
    assert not place.exists(), 'the command of the hostile checkpoint was run'
    return json.loads(done.output.splitlines()[-1])


@pytest.mark.reliability(
    'security', 'a checkpoint that runs a command, given to every tool that reads one'
)
def test_every_tool_refuses_a_malicious_checkpoint_and_names_it(outcomes):
    hostile = {n: said for n, said in outcomes.items() if n.startswith('hostile')}
    assert len(hostile) == 8
    for tool, said in hostile.items():
        assert (
            'epoch_1.pth was refused: it contains more than tensors and plain data'
            in said
        ), tool + said
        assert 'system' in said, tool
        assert 'weights_only=False' not in said, tool
    for tool in ('predict.py', 'explain.py', 'export.py', 'serve'):
        assert 'Traceback' not in outcomes[f'hostile {tool}']


@pytest.mark.reliability(
    'security', 'training with the built-in CLIP and prediction try no network access'
)
def test_training_and_prediction_try_no_network_access(outcomes, bench):
    masks = list((bench.folder / 'out').rglob('*.png'))
    assert (bench.folder / 'train/epoch_1.pth').is_file(), outcomes['train'][-2000:]
    assert masks, outcomes['predict']
    assert all(cv2.imread(str(mask)) is not None for mask in masks)
    assert outcomes['network'] == []
