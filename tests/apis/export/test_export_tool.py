"""tools/export.py as a program: from a checkpoint to a file that runs by itself."""

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from forked_program import Ended, run_forked

from mcdrl_mmseg.apis.checkpoint import load_segmentor
from mcdrl_mmseg.apis.export.agreement import fit_image
from mcdrl_mmseg.apis.export.runtime import open_exported
from mcdrl_mmseg.apis.image_pipeline import prepare

_SIZE = (128, 128)


@pytest.fixture(scope='module')
def checkpoint(resnet, tmp_path_factory) -> Path:
    """A checkpoint as a training writes it: with its config inside."""
    meta = dict(cfg=resnet.cfg.pretty_text, dataset_meta=resnet.dataset_meta)
    path = tmp_path_factory.mktemp('checkpoint') / 'best.pth'
    torch.save(dict(meta=meta, state_dict=resnet.state_dict()), path)
    return path


@pytest.fixture
def export(repo_root, tmp_path):
    """Runs the tool: ``export(CHECKPOINT, '--size', 64, 64, ...)``."""

    def run(*arguments) -> Ended:
        return run_forked([repo_root / 'tools/export.py', *arguments], folder=tmp_path)

    return run


@pytest.fixture
def export_as_a_user(repo_root):
    """Runs the tool in an interpreter of its own."""

    def run(*arguments) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, repo_root / 'tools/export.py', *map(str, arguments)],
            env={**os.environ, 'OMP_NUM_THREADS': '1'},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_exported_file_gives_the_logits_that_mmseg_predicts(
    export_as_a_user, checkpoint, new_pixels, tmp_path
):
    image = new_pixels(1, *_SIZE, seed=5)[0].transpose(1, 2, 0).copy()
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    path = tmp_path / 'new' / 'best.onnx'
    options = ('--size', *_SIZE, '--image', tmp_path / 'image.png', '--out', path)
    done = export_as_a_user(checkpoint, *options)
    assert done.returncode == 0, done.stderr
    told = r': 128 x 128 pixels, \d+\.\d MB; largest difference from PyTorch '
    told += r'\d\.\de-\d\d \(1 images\)\n'
    assert re.search(re.escape(str(path)) + told, done.stdout)
    assert [file.name for file in path.parent.glob('[!.]*')] == ['best.onnx']
    # No messages of the exporters themselves.
    assert 'constant folding' not in done.stderr

    model = load_segmentor(checkpoint, device='cpu')
    inputs, samples = prepare(model, image)
    with torch.no_grad():
        (sample,) = model.predict(inputs, samples)
    expected = sample.seg_logits.data.numpy()
    exported = open_exported(path)
    found = exported.run(fit_image(image, _SIZE))[0]
    assert expected.std() > 0.01
    assert np.abs(found - expected).max() < 1e-4
    assert exported.description['classes'] == ['background', 'lesion']


def test_default_size_is_the_checkpoints_own_and_another_gives_a_warning(
    export, checkpoint, tmp_path
):
    own = tmp_path / 'own.pt'
    done = export(checkpoint, '--format', 'torchscript', '--out', own)
    assert done.returncode == 0, done.output
    assert 'own.pt: 128 x 128 pixels' in done.output
    assert 'warning: ' not in done.output
    description = open_exported(own).description
    assert (description['height'], description['width']) == _SIZE

    other = ('--format', 'torchscript', '--size', 64, 96)
    done = export(checkpoint, *other, '--out', tmp_path / 'other.pt')
    assert done.returncode == 0, done.output
    assert 'warning: --size 64 96, but the model predicts at 128 x 128' in done.output


def test_a_file_in_the_way_ends_with_a_one_line_error_and_exit_code_2(
    export, checkpoint, tmp_path
):
    path = tmp_path / 'best.onnx'
    path.write_text('mine')
    done = export(checkpoint, '--size', 64, 64, '--out', path)
    assert done.returncode == 2
    last = done.output.splitlines()[-1]
    assert last.startswith(f'export: in the way: {path}, not written here')
    assert 'Traceback' not in done.output
    assert path.read_text() == 'mine'
