import errno
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from mcdrl_common import atomic_write
from mcdrl_common.written_files import OutputError
from mcdrl_mmseg.apis import prediction as module
from mcdrl_mmseg.apis.image_pipeline import check_scores
from mcdrl_mmseg.apis.inferencer import MCDRLInferencer, Prediction
from mcdrl_mmseg.apis.prediction import predict_files


class BrightPixels:
    """Predicts a lesion where the red channel of an image is bright."""

    model = SimpleNamespace(dataset_meta=dict(classes=('background', 'lesion')))

    def __init__(self, fail_at: int | None = None):
        self.fail_at = fail_at
        self.batch_sizes = []

    def predict(
        self, images: Iterable[np.ndarray], batch_size: int, flags: bool
    ) -> Iterator[Prediction]:
        self.batch_sizes.append(batch_size)
        batch = []
        for number, image in enumerate(images):
            if number == self.fail_at:
                raise KeyboardInterrupt
            batch.append(image)
            if len(batch) == batch_size:
                yield from map(self._one, batch)
                batch = []
        yield from map(self._one, batch)

    @staticmethod
    def _one(image: np.ndarray) -> Prediction:
        bright = image[..., 2] > 128
        return Prediction(bright.astype(np.uint8), bright.astype(np.float32))


@pytest.fixture
def folder(tmp_path):
    """Two images of the same name, the first with a lesion, and a video of 7 frames."""
    for number, value in enumerate((255, 0)):
        (tmp_path / f'in/{number}').mkdir(parents=True)
        image = np.zeros((12, 16, 3), np.uint8)
        image[2:6, 3:9, 2] = value
        cv2.imwrite(str(tmp_path / f'in/{number}/a.png'), image)
    writer = cv2.VideoWriter(
        str(tmp_path / 'in/clip.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 5, (64, 48)
    )
    for _ in range(7):
        writer.write(np.full((48, 64, 3), 200, np.uint8))
    writer.release()
    return tmp_path


def run(folder, *names, **options):
    names = [str(folder / name) for name in names]
    return predict_files(BrightPixels(), names, folder / 'out', **options)


def made(folder) -> list[str]:
    out = folder / 'out'
    return sorted(str(p.relative_to(out)) for p in out.rglob('[!.]*') if p.is_file())


@pytest.mark.parametrize('batch_size', [1, 2, 5, 100])
def test_every_image_gets_its_own_prediction(folder, batch_size):
    summary = run(folder, 'in', save=['masks'], batch_size=batch_size)
    masks = [f'masks/clip.avi/{n:06d}.png' for n in range(1, 8)]
    assert made(folder) == ['masks/0/a.png', 'masks/1/a.png', *masks]
    first = cv2.imread(str(folder / 'out/masks/0/a.png'), 0)
    second = cv2.imread(str(folder / 'out/masks/1/a.png'), 0)
    assert (first[2:6, 3:9] == 255).all()
    assert first.sum() == 255 * 24
    assert second.sum() == 0
    assert summary.num_images == 9
    assert summary.num_lesions == 8
    assert not summary.problems


def test_masks_at_a_conformal_threshold_are_written_in_addition(folder):
    promise = dict(threshold=0.5, level=0.3)
    run(folder, 'in/0', save=['masks'], conformal=promise)
    assert made(folder) == ['conformal.json', 'conformal/a.png', 'masks/a.png']
    mask = cv2.imread(str(folder / 'out/conformal/a.png'), 0)
    assert mask.sum() == 255 * 24
    with pytest.raises(OutputError, match='conformal'):
        run(folder, 'in/0', save=['overlays'], conformal=promise)


class UnsurePixels(BrightPixels):
    """Predicts a probability of 0.75 there: a self_dice of 2 * 0.75 / 1.75."""

    @staticmethod
    def _one(image: np.ndarray) -> Prediction:
        sure = BrightPixels._one(image)
        return Prediction(sure.labels, 0.75 * sure.lesion_probability)


@pytest.mark.parametrize(('threshold', 'kept'), [(0.85, True), (0.86, False)])
def test_masks_emptied_below_the_presence_threshold_are_written_in_addition(
    folder, threshold, kept
):
    presence = dict(threshold=threshold, loss=0.5)
    options = dict(save=['masks'], presence=presence)
    names = [str(folder / 'in/0')]
    summary = predict_files(UnsurePixels(), names, folder / 'out', **options)
    assert made(folder) == ['masks/a.png', 'presence.json', 'presence/a.png']
    assert cv2.imread(str(folder / 'out/masks/a.png'), 0).any()
    assert cv2.imread(str(folder / 'out/presence/a.png'), 0).any() == kept
    (image,) = json.loads((folder / 'out/presence.json').read_text())['images']
    assert image['emptied'] == (not kept)
    assert (summary.num_lesions, summary.num_emptied) == (1, not kept)
    with pytest.raises(OutputError, match='presence'):
        run(folder, 'in/0', save=['overlays'], presence=presence)


def test_a_video_is_timed_and_its_overlay_has_all_frames(folder):
    summary = run(folder, 'in', batch_size=4)
    ((name, (count, seconds)),) = summary.seconds.items()
    assert (name, count) == (str(folder / 'in/clip.avi'), 7)
    assert seconds > 0
    video = cv2.VideoCapture(str(folder / 'out/overlays/clip.mp4'))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 7


def test_frames_of_a_video_and_images_in_a_folder_with_its_name_are_all_written(folder):
    (folder / 'other/clip.avi').mkdir(parents=True)
    image = np.zeros((12, 16, 3), np.uint8)
    for name in ('000001.png', '000009.png'):
        cv2.imwrite(str(folder / f'other/clip.avi/{name}'), image)
    summary = run(folder, 'in/clip.avi', 'other', save=['masks', 'overlays'])
    assert summary.num_images == 9
    assert not summary.problems
    masks = [name for name in made(folder) if name.startswith('masks/')]
    sizes = [cv2.imread(str(folder / 'out' / name), 0).shape for name in masks]
    assert sizes.count((48, 64)) == 7
    assert sizes.count((12, 16)) == 2


def test_unreadable_inputs_are_skipped_and_reported(folder):
    (folder / 'in/b.png').write_bytes(b'damaged')
    (folder / 'in/d.mp4').write_bytes(b'damaged')
    summary = run(folder, 'in', 'gone.png', save=['masks'])
    assert summary.num_images == 9
    assert set(summary.problems) == {
        str(folder / name) for name in ('in/b.png', 'in/d.mp4', 'gone.png')
    }


def test_results_of_an_earlier_run_are_replaced_only_on_request(folder):
    run(folder, 'in/0/a.png', save=['masks', 'contours'])
    for save in (['masks'], ['contours'], ['coco', 'masks']):
        with pytest.raises(OutputError, match=r'in the way: .*--overwrite'):
            run(folder, 'in/0/a.png', save=save)
    assert 'coco_rle.json' not in made(folder)
    run(folder, 'in/0/a.png', save=['masks'], overwrite=True)


def test_files_of_others_and_results_changed_by_hand_are_never_replaced(folder):
    # A site: images with the masks that somebody drew.
    (folder / 'out/masks').mkdir(parents=True)
    drawn = folder / 'out/masks/a.png'
    drawn.write_bytes(b'mine')
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r'masks/a\.png, not written') as error:
            run(folder, 'in/0/a.png', save=['masks'], overwrite=overwrite)
        assert '--overwrite' not in str(error.value)
    assert drawn.read_bytes() == b'mine'
    drawn.unlink()
    run(folder, 'in', save=['masks', 'overlays'])
    run(folder, 'in', save=['masks', 'overlays'], overwrite=True)
    for name in ('masks/0/a.png', 'masks/clip.avi/000002.png', 'overlays/clip.mp4'):
        corrected = folder / 'out' / name
        content = corrected.read_bytes()
        corrected.write_bytes(b'corrected by hand')
        with pytest.raises(OutputError, match='changed since'):
            run(folder, 'in', save=['masks', 'overlays'], overwrite=True)
        corrected.write_bytes(content)


def test_an_input_is_never_replaced(folder):
    run(folder, 'in/0/a.png', save=['masks'])
    mask = folder / 'out/masks/a.png'
    content = mask.read_bytes()
    with pytest.raises(OutputError, match=r'masks/a\.png: an input'):
        run(folder, 'out/masks/a.png', save=['masks'], overwrite=True)
    assert mask.read_bytes() == content


class FailsOnSmall(BrightPixels):
    @staticmethod
    def _one(image):
        if image.shape[0] == 1:
            raise RuntimeError('kernel larger than the image')
        return BrightPixels._one(image)


def test_a_model_that_fails_before_it_reads_an_image_ends_the_run(folder):
    class Broken(BrightPixels):
        def predict(self, images, batch_size, flags):
            raise RuntimeError('no pipeline')

    with pytest.raises(RuntimeError, match='no pipeline'):
        predict_files(Broken(), [str(folder / 'in')], folder / 'out')


@pytest.mark.parametrize('batch_size', [1, 2, 100])
def test_an_image_that_the_model_fails_on_is_skipped_and_reported(folder, batch_size):
    small = folder / 'in/0/b.png'
    cv2.imwrite(str(small), np.zeros((1, 1, 3), np.uint8))
    inferencer = FailsOnSmall()
    summary = predict_files(
        inferencer,
        [str(folder / 'in')],
        folder / 'out',
        ['masks', 'contours'],
        batch_size,
    )
    assert summary.num_images == 9
    assert summary.problems == {str(small): 'kernel larger than the image'}
    first = cv2.imread(str(folder / 'out/masks/0/a.png'), 0)
    assert (first[2:6, 3:9] == 255).all()
    assert cv2.imread(str(folder / 'out/masks/1/a.png'), 0).sum() == 0
    assert 'contours.json' in made(folder)


@pytest.mark.parametrize('batch_size', [1, 3])
def test_an_image_with_nan_scores_is_skipped_and_reported(folder, batch_size):
    class NaNWhereWhite(MCDRLInferencer):
        def __init__(self):
            self.model = BrightPixels.model

        def preprocess(self, images, batch_size):
            batch = []
            for image in images:
                batch.append(image)
                if len(batch) == batch_size:
                    yield batch
                    batch = []
            if batch:
                yield batch

        def forward(self, images):
            for image in images:
                scores = torch.zeros(2, *image.shape[:2])
                if (image == 255).all():
                    scores[:] = float('nan')
                check_scores(scores)
            return [
                SimpleNamespace(
                    seg_logits=SimpleNamespace(data=torch.zeros(2, *image.shape[:2])),
                    pred_sem_seg=SimpleNamespace(data=torch.zeros(1, *image.shape[:2])),
                )
                for image in images
            ]

    white = folder / 'in/0/b.png'
    cv2.imwrite(str(white), np.full((12, 16, 3), 255, np.uint8))
    summary = predict_files(
        NaNWhereWhite(), [str(folder / 'in')], folder / 'out', ['masks'], batch_size
    )
    assert list(summary.problems) == [str(white)]
    assert 'NaN or infinite scores' in summary.problems[str(white)]
    assert summary.num_images == 9
    assert {'masks/0/a.png', 'masks/1/a.png'} <= set(made(folder))


def test_a_file_name_that_is_too_long_is_skipped_and_reported(folder):
    long = 'x' * 300
    summary = run(folder, 'in/0/a.png', long, save=['masks'])
    assert summary.num_images == 1
    assert set(summary.problems) == {str(folder / long)}


def test_an_input_whose_reader_fails_unexpectedly_is_skipped_and_reported(
    folder, monkeypatch
):
    read = module.read_images

    def fail_once(file):
        if file.path.parent.name == '0':
            raise ZeroDivisionError('odd header')
        return read(file)

    monkeypatch.setattr(module, 'read_images', fail_once)
    summary = run(folder, 'in', save=['masks'])
    assert summary.num_images == 8
    assert list(summary.problems.values()) == ['odd header']


@pytest.mark.parametrize('save', ['masks', 'overlays', 'contours'])
def test_a_full_disk_gives_an_error_that_names_the_file(folder, monkeypatch, save):
    def full(path, flags):
        raise OSError(errno.ENOSPC, 'No space left on device', str(path))

    monkeypatch.setattr(atomic_write, '_sync', full)
    for name in ('in/0/a.png', 'in/clip.avi'):
        with pytest.raises(OutputError, match=r'out/.*: No space left on device'):
            run(folder, name, save=[save])
    assert made(folder) == []


def test_an_overlay_video_that_loses_frames_gives_an_error_and_is_not_kept(
    folder, monkeypatch
):
    class Full:
        """OpenCV's writer on a full disk: it reports no error."""

        def __init__(self, *args):
            pass

        def isOpened(self):
            return True

        def write(self, picture):
            pass

        release = __init__

    monkeypatch.setattr(cv2, 'VideoWriter', Full)
    with pytest.raises(OutputError, match=r'clip\.mp4: only 0 of 7 frames'):
        run(folder, 'in/clip.avi', save=['overlays'])
    assert made(folder) == []


def test_masks_of_a_video_from_an_earlier_run_are_not_replaced(folder):
    run(folder, 'in/clip.avi', save=['masks'])
    with pytest.raises(OutputError, match=r'masks/clip\.avi'):
        run(folder, 'in/clip.avi', save=['masks'])


def test_an_interrupted_run_leaves_no_half_written_file(folder):
    inferencer = BrightPixels(fail_at=5)
    save = ['overlays', 'masks', 'coco']
    with pytest.raises(KeyboardInterrupt):
        predict_files(inferencer, [str(folder / 'in')], folder / 'out', save)
    assert not [name for name in made(folder) if name.endswith(('.mp4', '.json'))]
    assert 'masks/0/a.png' in made(folder)


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(save=['gifs']), 'must name one or more of'),
        (dict(save=[]), 'must name one or more of'),
        (dict(batch_size=0), 'batch_size=0'),
    ],
)
def test_unknown_outputs_and_a_batch_size_of_0_are_refused(folder, options, words):
    with pytest.raises(ValueError, match=words):
        run(folder, 'in', **options)
    assert not (folder / 'out').exists()


def test_an_overlay_of_a_video_with_odd_sides_has_the_next_even_size(
    folder, monkeypatch
):
    # OpenCV, which wrote the clip, cannot write odd sizes itself.
    frames = [np.full((47, 63, 3), 100, np.uint8)] * 3
    monkeypatch.setattr(module, 'read_images', lambda file: iter(frames))
    run(folder, 'in/clip.avi', save=['overlays'])
    video = cv2.VideoCapture(str(folder / 'out/overlays/clip.mp4'))
    assert video.get(cv2.CAP_PROP_FRAME_WIDTH) == 64
    assert video.get(cv2.CAP_PROP_FRAME_HEIGHT) == 48


def test_an_inaccessible_output_folder_is_named_in_the_error(folder, monkeypatch):
    def denied(path):
        raise PermissionError(errno.EACCES, 'Permission denied', str(path))

    monkeypatch.setattr(Path, 'exists', denied)
    with pytest.raises(OutputError, match=r'out: could not be .*Permission denied'):
        run(folder, 'in')
