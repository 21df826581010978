"""From a training to a new hospital without masks, on EndoSim."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mcdrl_common.model_settings import model_hash
from mcdrl_common.threshold_file import CONFORMAL
from mcdrl_mmseg.engine.insertion import with_mcdrl

HELD_OUT = 'endosim_a'
OTHERS = ['endosim_b', 'endosim_c', 'endosim_d', 'endosim_e']
CONFIG = 'mcdrl/mcdrl_clip-tiny-rn_fcn-map_6e_endosim-128x128.py'
IMAGES = 24


@pytest.fixture(scope='module')
def journey(new_bench, tmp_path_factory):
    """Runs every command once; gives folders, checkpoints and outputs."""
    root = tmp_path_factory.mktemp('endosim') / 'sites'
    bench = new_bench('trust', root)
    lab = (sys.executable, '-m', 'mcdrl_lab')
    said = {}

    def run(step, *command):
        # Other files start tools and commands that need a network as a user does.
        fresh = step == 'simulate'
        environment = dict(MCDRL_ENDOSIM_ROOT=str(root))
        said[step] = bench.start(step, *command, fresh=fresh, **environment).output

    run('simulate', *lab, 'simulate', root, '--images-per-site', IMAGES, '--size', 64)
    repo = Path(__file__).resolve().parents[2]
    tools, work = repo / 'tools', bench.folder / 'work'
    # As a user's: a checkpoint alone imports nothing but the plug-in.
    config = bench.folder / 'short.py'
    config.write_text(
        f"_base_ = ['{repo / 'configs' / CONFIG}']\ntrain_cfg = dict(max_epochs=2)\n"
    )
    run('train', sys.executable, tools / 'train.py', config, '--work-dir', work)
    (best,) = work.glob('best_*.pth')
    run('calibrate', *lab, 'calibrate', best, '--test')
    calibrated = best.with_name(f'{best.stem}_calibrated.pth')
    images = root / HELD_OUT / 'images'
    check = bench.folder / 'site_check'
    run('check', *lab, 'site-check', calibrated, images, '--out', check)
    # As python -m mcdrl_lab conformal writes it, which needs records of a whole plan.
    threshold = bench.folder / 'threshold.json'
    promise = dict(threshold=0.05, level=0.3, risk='area', sites=OTHERS, seeds=[0])
    # As in a plan's records: predict would refuse the threshold of another network.
    promise['model_hash'] = model_hash(with_mcdrl(Config.fromfile(config)).model)
    CONFORMAL.write(threshold, promise)
    out = bench.folder / 'results'
    run(
        *('predict', sys.executable, tools / 'predict.py', calibrated, images),
        *('--out', out, '--save', 'masks', 'probabilities', 'flags'),
        *('--conformal', threshold),
    )
    return SimpleNamespace(
        best=best, calibrated=calibrated, check=check, out=out, said=said, root=root
    )


def meta_of(path) -> dict:
    return torch.load(path, weights_only=False)['meta']


def test_training_stores_statistics_of_its_training_sites_in_every_checkpoint(journey):
    paths = [journey.best, *journey.best.parent.glob('epoch_*.pth')]
    assert len(paths) == 3
    for path in paths:
        reference = json.loads(meta_of(path)['site_reference'])
        assert reference['sites'] == OTHERS
        assert sorted(reference['conditions']) == sorted(
            meta_of(path)['confounder_names']
        )
        assert len(meta_of(path)['site_reference']) < 15_000


def test_calibration_adds_a_temperature_and_keeps_the_rest(journey):
    before, after = meta_of(journey.best), meta_of(journey.calibrated)
    (temperature,) = after.pop('mcdrl_temperature')
    assert temperature > 0
    assert after == before
    assert f'temperature {temperature:.3f}' in journey.said['calibrate']
    assert f'test, {HELD_OUT}' in journey.said['calibrate']


def test_site_check_compares_the_new_site_with_the_training_sites(journey):
    assert 'compared with 4 training sites' in journey.said['check']
    page = (journey.check / 'site_check.html').read_text()
    for part in (*OTHERS, 'dark lighting', 'not a medical device'):
        assert part in page
    assert HELD_OUT not in page.partition('Compared with')[2].partition('Command')[0]


def test_predict_writes_calibrated_probabilities_conformal_masks_and_flags(journey):
    flags = json.loads((journey.out / 'flags.json').read_text())['images']
    found = json.loads((journey.out / 'conformal.json').read_text())
    assert len(flags) == len(found['images']) == IMAGES
    assert found['conformal']['level'] == 0.3
    (temperature,) = meta_of(journey.calibrated)['mcdrl_temperature']
    for flag, image in zip(flags, found['images'], strict=True):
        name = Path(flag['file_name']).stem
        assert isinstance(flag['unusual'], bool)
        assert image['calibrated'] is True
        probability = _png(journey.out / f'probabilities/{name}.png') / 65535
        assert image['highest_probability'] == pytest.approx(
            probability.max(), abs=1e-4
        )
        # The threshold is for the network's own probability.
        mask = _png(journey.out / f'conformal/{name}.png') == 255
        odds = np.log(0.05 / 0.95) / temperature
        limit = 1 / (1 + np.exp(-odds))
        near = np.abs(probability - limit) < 1e-3
        assert np.array_equal((probability >= limit)[~near], mask[~near])
        assert image['area'] == mask.sum()
    agree = [flag['unusual'] for flag in flags]
    share = round(100 * float(np.mean(agree)))
    assert f'{share} % are unusual' in journey.said['check']


def _png(path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
