"""Exports of a calibrated checkpoint, and a conformal threshold on their output."""

import re

import cv2
import numpy as np
import pytest
import torch
from scipy.special import logsumexp, softmax

from mcdrl_mmseg.apis.checkpoint import load_segmentor
from mcdrl_mmseg.apis.export.exporting import export_model
from mcdrl_mmseg.apis.export.runtime import open_exported
from mcdrl_mmseg.apis.image_pipeline import at_threshold
from mcdrl_mmseg.apis.inferencer import MCDRLInferencer
from mcdrl_mmseg.apis.temperature import META_KEY

SIZE = (128, 128)
SUFFIXES = {'onnx': 'onnx', 'torchscript': 'pt'}
CLASSES = {1: ['background', 'lesion'], 2: ['background', 'polyp', 'cyst']}
TEMPERATURES = {1: [2.5], 2: [3.0, 0.5]}


@pytest.fixture(scope='module')
def checkpoint(new_model, tmp_path_factory):
    """Writes a checkpoint with this number of lesion classes, calibrated or not."""

    def write(lesions: int, calibrated: bool):
        predictor = dict(num_classes=lesions + 1)
        model = new_model('rn', predictor=predictor)
        meta = dict(
            cfg=model.cfg.pretty_text, dataset_meta=dict(classes=CLASSES[lesions])
        )
        if calibrated:
            meta[META_KEY] = TEMPERATURES[lesions]
        path = tmp_path_factory.mktemp('calibrated') / 'best.pth'
        torch.save(dict(meta=meta, state_dict=model.state_dict()), path)
        return path

    return write


@pytest.mark.parametrize(
    ('lesions', 'kind'), [(1, 'onnx'), (1, 'torchscript'), (2, 'onnx')]
)
def test_file_gives_calibrated_log_odds_and_the_mask_at_a_threshold(
    checkpoint, new_pixels, tmp_path, repo_root, lesions, kind
):
    weights = checkpoint(lesions, calibrated=True)
    pixels = new_pixels(1, *SIZE, seed=5)
    path = tmp_path / f'best.{SUFFIXES[kind]}'
    export_model(load_segmentor(weights, device='cpu'), path, kind, SIZE)
    exported = open_exported(path)
    logits = exported.run(pixels)[0]
    assert exported.description['temperature'] == TEMPERATURES[lesions]

    image = np.ascontiguousarray(pixels[0].transpose(1, 2, 0)[..., ::-1])
    inferencer = MCDRLInferencer(weights=str(weights), show_progress=False)
    (predicted,) = inferencer.predict([image])
    # Log-odds of any lesion against none.
    found = logsumexp(logits[1:], axis=0) - logits[0]
    probability = predicted.lesion_probability.astype(float)
    inside = (probability > 1e-4) & (probability < 1 - 1e-4)
    assert inside.mean() > 0.5
    expected = np.log(probability[inside] / (1 - probability[inside]))
    np.testing.assert_allclose(found[inside], expected, atol=5e-3)
    assert np.abs(predicted.network_probability - probability).max() > 0.02

    native = logits.transpose(1, 2, 0)
    threshold = float(np.median(predicted.network_probability)) + 1e-3
    mask = at_threshold(predicted.network_probability, threshold)
    assert 0.05 < mask.mean() < 0.95
    of_file = function_of_the_page(repo_root)
    assert (of_file(native, TEMPERATURES[lesions], threshold) == mask).mean() > 0.999
    # The mask depends on the temperatures.
    assert (of_file(native, None, threshold) != mask).any()


def test_rounding_at_a_low_temperature_is_not_refused_as_a_difference(
    checkpoint, new_pixels, tmp_path
):
    model = load_segmentor(checkpoint(1, calibrated=False), device='cpu')
    model.temperature = (1e-3,)
    path = tmp_path / 'best.onnx'
    gap = export_model(model, path, 'onnx', SIZE).difference
    # The file's logits, a thousand times those of the network.
    assert 1e-4 < gap < 0.1
    assert np.abs(open_exported(path).run(new_pixels(1, *SIZE, seed=5))).max() > 100


def test_program_of_the_deployment_page_gives_the_mask_of_the_inferencer(
    checkpoint, new_pixels, tmp_path, repo_root, monkeypatch
):
    inferencer = MCDRLInferencer(
        weights=str(checkpoint(2, calibrated=True)), show_progress=False
    )
    image = np.ascontiguousarray(new_pixels(1, *SIZE, seed=5)[0].transpose(1, 2, 0))
    (batch,) = inferencer.preprocess([image])
    with torch.no_grad():
        (sample,) = inferencer.forward(batch)
        middle = sample.seg_logits.data.flatten(1).median(dim=1).values
        # Every class then wins somewhere.
        inferencer.model.decode_head.predictor.conv_seg.bias -= middle
    (predicted,) = inferencer.predict([image])
    assert set(np.unique(predicted.labels)) == {0, 1, 2}

    export_model(inferencer.model, tmp_path / 'best.onnx', 'onnx', SIZE)
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    (tmp_path / 'image.png').rename(tmp_path / 'image.jpg')
    monkeypatch.chdir(tmp_path)
    found = program_of_the_page(repo_root, 'InferenceSession(')
    assert (found['mask'] == predicted.labels).mean() > 0.999
    # The labels depend on the temperatures.
    assert (found['native'].argmax(axis=2) != predicted.labels).mean() > 0.01


def function_of_the_page(repo_root):
    """The function of docs/deployment.md that applies a threshold."""
    return program_of_the_page(repo_root, 'def conformal_mask(')['conformal_mask']


def program_of_the_page(repo_root, part):
    """Run a program of docs/deployment.md and return the names that it defines."""
    page = (repo_root / 'docs/deployment.md').read_text()
    blocks = re.findall(r'```python\n(.*?)```', page, flags=re.DOTALL)
    (block,) = [block for block in blocks if part in block]
    names = {}
    exec(block, names)
    return names


def test_file_of_an_uncalibrated_checkpoint_gives_the_networks_log_odds(
    checkpoint, new_pixels, tmp_path
):
    plain, path = checkpoint(1, calibrated=False), tmp_path / 'best.onnx'
    pixels = new_pixels(1, *SIZE, seed=5)
    export_model(load_segmentor(plain, device='cpu'), path, 'onnx', SIZE)
    exported = open_exported(path)
    assert exported.description['temperature'] is None
    inferencer = MCDRLInferencer(weights=str(plain), show_progress=False)
    image = np.ascontiguousarray(pixels[0].transpose(1, 2, 0)[..., ::-1])
    (predicted,) = inferencer.predict([image])
    assert predicted.network_probability is None
    own = softmax(exported.run(pixels)[0], axis=0)[1]
    np.testing.assert_allclose(own, predicted.lesion_probability, atol=1e-4)
