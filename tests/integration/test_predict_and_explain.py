"""From a checkpoint alone to output files, with the commands that a user types."""

import json
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from pycocotools.coco import COCO

CONFIG = 'configs/mcdrl/mcdrl_clip-tiny-rn_segformer_5e_endoscopy-sites-128x128.py'


@pytest.fixture(scope='module')
def bench(new_bench, drawn_sites, repo_root):
    """A bench with an untrained checkpoint that has the metadata of a run's."""
    bench = new_bench('predict', drawn_sites)
    init_default_scope('mmseg')
    cfg = Config.fromfile(repo_root / CONFIG)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MODELS.build(cfg.model)
        dictionary = model.decode_head.dictionary
        dictionary.fill(torch.randn(len(dictionary.texts), 128), 'ab' * 32)
    meta = dict(
        cfg=cfg.pretty_text, dataset_meta=dict(classes=('background', 'lesion'))
    )
    content = dict(meta=meta, state_dict=model.state_dict())
    torch.save(content, bench.folder / 'best.pth')
    return bench


def test_predict_writes_all_requested_outputs_and_names_skipped_files(bench, repo_root):
    images = bench.sites_root / 'polypgen_c1/images'
    (bench.folder / 'damaged.jpg').write_bytes(b'damaged')
    size = (64, 48)
    writer = cv2.VideoWriter(
        str(bench.folder / 'clip.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 5, size
    )
    for _ in range(3):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    kinds = ['masks', 'overlays', 'probabilities', 'coco', 'contours']
    command = [sys.executable, repo_root / 'tools/predict.py', 'best.pth', images]
    command += ['clip.avi', 'damaged.jpg', '--out', 'out', '--batch-size', 4]
    command += ['--device', 'cpu', '--save', *kinds]
    run = bench.start('predict', *command, check=False, fresh=False)
    assert run.returncode == 1, run.output
    assert '13 images segmented' in run.output
    assert 'frames/s' in run.output
    assert 'damaged.jpg: not an image' in run.output
    out = bench.folder / 'out'
    for image in images.iterdir():
        expected = cv2.imread(str(image)).shape[:2]
        for kind in ('masks', 'overlays', 'probabilities'):
            written = cv2.imread(str(out / kind / f'{image.stem}.png'))
            assert written.shape[:2] == expected, (kind, image)
    assert len(list((out / 'masks/clip.avi').iterdir())) == 3
    assert (out / 'overlays/clip.mp4').is_file()
    coco = COCO(str(out / 'coco_rle.json'))
    assert len(coco.imgs) == 13
    # Both files describe the same regions of each image.
    for image in json.loads((out / 'contours.json').read_text())['images']:
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[image['id']]))
        assert [a['area'] for a in annotations] == [
            region['area'] for region in image['regions']
        ]
    again = bench.start('predict', *command, check=False, fresh=False)
    assert again.returncode == 2
    assert 'in the way' in again.output


def test_explain_and_the_quickstart_write_a_page(bench, repo_root):
    image = bench.sites_root / 'polypgen_c1/images/polypgen_c1_000.jpg'
    run = bench.start(
        'explain',
        sys.executable,
        repo_root / 'tools/explain.py',
        'best.pth',
        image,
        '--truth',
        bench.sites_root / 'polypgen_c1/masks',
        '--out',
        'pages',
        fresh=False,
    )
    assert 'pages/polypgen_c1_000.png' in run.output
    record = json.loads((bench.folder / 'pages/polypgen_c1_000.json').read_text())
    assert 'dice' in record['predictions']['gate_1']
    weights = [confounder['weight'] for confounder in record['confounders']]
    assert sum(weights) == pytest.approx(1, abs=0.01)

    run = bench.start(
        'quickstart',
        sys.executable,
        repo_root / 'docs/quickstart.py',
        'best.pth',
        image,
        'first',
    )
    assert run.output.count('attention to') == 3
    assert cv2.imread(str(bench.folder / 'first/explanation.png')).shape[1] == 1650
    overlay = cv2.imread(str(bench.folder / 'first/overlay.png'))
    assert overlay.shape == cv2.imread(str(image)).shape
