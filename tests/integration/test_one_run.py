"""Training, testing the best checkpoint and predicting give equal masks and scores."""

import math
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch


@pytest.fixture(scope='module')
def tested(reference):
    """tools/test.py on the best checkpoint, with overlays and label maps."""
    return reference.bench.tool(
        'tested',
        'test.py',
        reference.config,
        reference.best_checkpoint,
        '--show-dir',
        reference.bench.folder / 'overlays',
        '--out',
        reference.bench.folder / 'label_maps',
        fresh=False,
    )


def test_training_ends_with_checkpoints_and_a_finite_score(reference):
    work_dir = reference.run.work_dir
    assert (work_dir / 'last_checkpoint').read_text().endswith('epoch_3.pth')
    scores = [
        line['mDice_fg'] for line in reference.run.scalars() if 'mDice_fg' in line
    ]
    assert len(scores) == 3
    assert max(scores) > 0, 'empty masks would make the comparisons below empty too'
    assert scores[reference.best_epoch - 1] == max(scores)


def test_scores_of_the_best_checkpoint_equal_those_of_the_training_process(
    reference, tested
):
    during = [line for line in reference.run.scalars() if 'mDice_fg' in line]
    during = during[reference.best_epoch - 1]
    after = tested.test_metrics()
    names = set(after) - {'time', 'data_time'}
    assert {'mDice_fg', 'pooled_IoU_fg', 'lesion/polyp/mDice_fg'} <= names
    for name in names:
        same = after[name] == during[name] or (
            math.isnan(after[name]) and math.isnan(during[name])
        )
        assert same, f'{name}: {during[name]} in training, {after[name]} in the test'


def test_label_maps_are_the_masks_of_the_training_process(reference, tested):
    predictions = reference.predictions(reference.best_epoch)
    assert len(predictions) == 6
    for path, prediction in predictions.items():
        name = path.rpartition('/')[2].rpartition('.')[0] + '.png'
        saved = cv2.imread(
            str(reference.bench.folder / 'label_maps' / name), cv2.IMREAD_UNCHANGED
        )
        assert np.array_equal(saved, prediction['mask'][0].numpy())
    assert any(prediction['mask'].any() for prediction in predictions.values())


def test_overlays_are_written_for_every_image(reference, tested):
    overlays = list((reference.bench.folder / 'overlays').rglob('*.png'))
    assert len(overlays) == 6
    image = next(iter(reference.predictions(1)))
    stem = image.rpartition('/')[2].rpartition('.')[0]
    (overlay,) = [file for file in overlays if stem in file.name]
    drawn, plain = cv2.imread(str(overlay)), cv2.imread(image)
    # The true mask stands beside the predicted one.
    assert drawn.shape[0] >= plain.shape[0]
    assert not np.array_equal(drawn[: plain.shape[0], : plain.shape[1]], plain)


def test_text_tower_runs_once_at_the_first_start_and_in_no_step(reference):
    # 2 classes, 12 confounders, their 24 pairs and 2 background prompts, in one pass;
    # 15 training steps and 3 validations follow in the same process.
    assert reference.run.text_passes == [40]


def test_text_tower_does_not_run_in_a_test(tested):
    assert tested.text_passes == []


@pytest.fixture(scope='module')
def predicted(reference):
    """mmseg's own functions on the last checkpoint, without CLIP's weights or cache."""
    bench = reference.bench
    moved = reference.weights.with_suffix('.moved')
    reference.weights.rename(moved)
    images = sorted(reference.predictions(1))
    try:
        run = bench.start(
            'predicted',
            sys.executable,
            Path(__file__).parent / 'probe' / 'predict_with_mmseg.py',
            reference.run.work_dir / 'reference.py',
            reference.run.work_dir / 'epoch_3.pth',
            bench.folder / 'predicted.pt',
            *images,
            MCDRL_CACHE_DIR=str(bench.folder / 'no_cache'),
        )
    finally:
        moved.rename(reference.weights)
    assert not (bench.folder / 'no_cache').exists()
    return run, torch.load(bench.folder / 'predicted.pt', weights_only=False)


def test_init_model_gives_the_masks_of_the_training_process(reference, predicted):
    expected = reference.predictions(3)
    found = predicted[1]
    assert sorted(found) == sorted(expected)
    for path in expected:
        assert torch.equal(found[path]['logits'], expected[path]['logits'])
        assert torch.equal(found[path]['mask'], expected[path]['mask'])
    shares = [float(found[path]['mask'].float().mean()) for path in found]
    assert any(0 < share < 1 for share in shares), 'masks of one value show little'


def test_inferencer_gives_the_masks_of_the_training_process(reference, predicted):
    expected = reference.predictions(3)
    for path, prediction in predicted[1].items():
        mask = expected[path]['mask'][0].numpy()
        assert np.array_equal(prediction['inferencer'], mask)


def test_text_tower_does_not_run_at_inference(predicted):
    assert predicted[0].text_passes == []


@pytest.fixture(scope='module')
def without_dictionary(reference):
    """The best checkpoint as a training without the hook would have saved it."""
    checkpoint = reference.run.checkpoint(reference.best_checkpoint.name)
    state = checkpoint['state_dict']
    for key in [key for key in state if key.startswith('decode_head.dictionary.')]:
        state[key] = torch.zeros_like(state[key])
    path = reference.bench.folder / 'without_dictionary.pth'
    torch.save(checkpoint, path)
    return path


def test_an_unbuilt_dictionary_stops_a_test_with_an_error_that_says_what_to_do(
    reference, without_dictionary
):
    run = reference.bench.tool(
        'unbuilt',
        'test.py',
        reference.config,
        without_dictionary,
        check=False,
        fresh=False,
    )
    assert run.returncode != 0
    assert 'The confounder dictionary is not built' in run.output
    assert 'load a checkpoint that was trained with this hook' in run.output


def test_training_without_the_hook_stops_at_once_and_says_what_to_do(reference):
    run = reference.bench.tool(
        'no_hook',
        'train.py',
        reference.config,
        check=False,
        options=['custom_hooks=[]', 'train_dataloader.num_workers=0'],
        fresh=False,
    )
    assert run.returncode != 0
    assert 'no hook builds model.decode_head.dictionary' in run.output
    assert "Add dict(type='ConfounderDictionaryHook')" in run.output
    assert not list(run.work_dir.glob('*.pth'))
