import errno
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from mcdrl_common import atomic_write
from mcdrl_common.mask_files import TruthMask
from mcdrl_common.written_files import OutputError
from mcdrl_mmseg.apis import Explanation
from mcdrl_mmseg.apis import explanation_files as module
from mcdrl_mmseg.apis.explanation_files import explain_files, explanation_record


@pytest.fixture
def explanation() -> Explanation:
    before = np.zeros((4, 5), np.float32)
    before[0, :2] = 0.9
    after = before.copy()
    after[0] = (0.6, 0.7, 0.8, 0.9, 0.0)
    maps = np.array([[[0.25, np.nan]], [[0.75, np.nan]]], np.float32)
    return Explanation(
        image=np.zeros((4, 5, 3), np.uint8),
        class_names=('polyp',),
        confounder_names=('blur', 'blood'),
        similarity=np.array([[[0.123456, 0.5]]]),
        kept=np.array([[True, False]]),
        attention=np.array([0.25, 0.75], np.float32),
        attention_maps=maps,
        lesion_probability=dict(gate_0=before, gate_1=after),
        per_confounder=np.stack([before, after]),
        gate=1.0,
    )


@pytest.fixture
def explained(monkeypatch, explanation):
    """Masks passed to the drawing; nothing is really explained or drawn."""
    drawn = []

    def draw(explanation, truth, true_confounders, title, ignored):
        drawn.append(truth)
        return Figure(figsize=(1, 1))

    monkeypatch.setattr(module, 'explain', lambda model, image: explanation)
    monkeypatch.setattr(module, 'explanation_figure', draw)
    return drawn


@pytest.fixture
def images(tmp_path):
    for name in ('a', 'b'):
        cv2.imwrite(str(tmp_path / f'{name}.png'), np.full((4, 5, 3), 7, np.uint8))
    return tmp_path


def test_the_record_holds_what_the_page_shows(explanation):
    truth = np.zeros((4, 5), bool)
    truth[0, :4] = True
    record = explanation_record(explanation, TruthMask(truth, np.zeros_like(truth)))
    assert json.loads(json.dumps(record)) == record
    assert (record['width'], record['height']) == (5, 4)
    # 2 and 4 of 20 pixels; of the 4 true ones 2 and 4 are found.
    assert record['predictions']['gate_0'] == dict(
        lesion_area=0.1, largest_probability=0.9, dice=0.6667
    )
    assert record['predictions']['gate_1']['dice'] == 1.0
    # (-0.3 - 0.2 + 0.8 + 0.9) / 20
    assert record['change'] == dict(
        mean=0.06, mean_absolute=0.11, largest_gain=0.9, largest_loss=-0.3
    )
    assert record['classes'] == [dict(name='polyp', similarity=[[0.1235, 0.5]])]
    assert record['kept'] == [[1, 0]]
    assert record['window'] == [0, 1, 0, 1]
    blood = record['confounders'][1]
    assert (blood['name'], blood['weight']) == ('blood', 0.75)
    assert blood['weights'] == [[0.75, None]]
    assert blood['prediction_alone']['lesion_area'] == 0.2


def test_without_a_lesion_in_the_truth_there_is_no_dice(explanation):
    none = np.zeros((4, 5), bool)
    for truth in (None, TruthMask(none, none)):
        record = explanation_record(explanation, truth)
        assert 'dice' not in record['predictions']['gate_0']


def test_each_image_gets_a_page_and_a_json_file(images, explained):
    names = [str(images / 'a.png'), str(images / 'b.png')]
    summary = explain_files(None, names, images / 'out')
    assert [path.name for path in summary.written] == ['a.png', 'b.png']
    assert sorted(path.name for path in (images / 'out').glob('[!.]*')) == [
        'a.json',
        'a.png',
        'b.json',
        'b.png',
    ]
    assert cv2.imread(str(images / 'out/a.png')).shape == (110, 110, 3)
    assert json.loads((images / 'out/b.json').read_text())['image'] == names[1]
    assert explained == [None, None]


def test_known_conditions_of_an_image_are_recorded(images, explained):
    known = {'a': ('blur', 'blood'), 'b': None}
    names = [str(images / 'a.png'), str(images / 'b.png')]
    explain_files(
        None, names, images / 'out', true_confounders=lambda path: known[path.stem]
    )
    first = json.loads((images / 'out/a.json').read_text())
    assert first['true_confounders'] == ['blur', 'blood']
    second = json.loads((images / 'out/b.json').read_text())
    assert 'true_confounders' not in second


def test_masks_are_found_by_name_and_missing_or_misshapen_ones_are_reported(
    images, explained
):
    (images / 'masks').mkdir()
    cv2.imwrite(str(images / 'masks/a.png'), np.full((4, 5), 255, np.uint8))
    names = [str(images / 'a.png'), str(images / 'b.png')]
    summary = explain_files(None, names, images / 'out', images / 'masks')
    record = json.loads((images / 'out/a.json').read_text())
    assert explained[0].all()
    # 2 * 4 / (4 + 20)
    assert record['predictions']['gate_1']['dice'] == 0.3333
    assert 'holds no mask with this name' in summary.problems[names[1]]
    cv2.imwrite(str(images / 'wide.png'), np.full((4, 6), 255, np.uint8))
    summary = explain_files(None, names[:1], images / 'out2', images / 'wide.png')
    assert 'the mask has 6 x 4' in summary.problems[names[0]]


@pytest.mark.reliability('silent', 'the truth of an explanation')
def test_the_truth_is_read_as_training_reads_it(images, explained):
    soft = np.zeros((4, 5), np.uint8)
    soft[0] = (255, 200, 128, 127, 3)  # half of the range decides
    marked = np.zeros((4, 5), np.uint8)
    marked[0] = (1, 1, 255, 255, 0)  # a lesion with an uncertain border
    for mask, lesion in ((soft, 3), (marked, 2)):
        cv2.imwrite(str(images / 'mask.png'), mask)
        names = [str(images / 'a.png')]
        explain_files(None, names, images / 'out', images / 'mask.png', overwrite=True)
        assert explained[-1].sum() == lesion
    record = json.loads((images / 'out/a.json').read_text())
    # Predicted are 4 pixels, 2 of them over the border, which is left out.
    assert record['predictions']['gate_1']['dice'] == 1.0


def test_the_page_gets_the_pixels_that_dice_leaves_out(images, explained, monkeypatch):
    mask = np.zeros((4, 5), np.uint8)
    mask[0] = (1, 1, 255, 255, 0)
    cv2.imwrite(str(images / 'mask.png'), mask)
    passed = {}

    def draw(*args, **options):
        passed.update(options)
        return Figure(figsize=(1, 1))

    monkeypatch.setattr(module, 'explanation_figure', draw)
    explain_files(None, [str(images / 'a.png')], images / 'out', images / 'mask.png')
    np.testing.assert_array_equal(passed['ignored'], mask == 255)


def test_one_mask_for_several_images_is_refused(images, explained):
    names = [str(images / 'a.png'), str(images / 'b.png')]
    with pytest.raises(ValueError, match='one mask'):
        explain_files(None, names, images / 'out', images / 'a.png')


def test_earlier_results_are_replaced_only_on_request(images, explained):
    names = [str(images / 'a.png')]
    explain_files(None, names, images / 'out')
    with pytest.raises(OutputError, match=r'a\.json.*--overwrite'):
        explain_files(None, names, images / 'out')
    explain_files(None, names, images / 'out', overwrite=True)


def test_inputs_and_files_of_others_are_never_replaced(images, explained):
    names = [str(images / 'a.png')]
    content = (images / 'a.png').read_bytes()
    with pytest.raises(OutputError, match=r'a\.png: an input'):
        explain_files(None, names, images, overwrite=True)
    assert (images / 'a.png').read_bytes() == content
    (images / 'out').mkdir()
    (images / 'out/a.json').write_text('mine')
    with pytest.raises(OutputError, match=r'a\.json, not written here'):
        explain_files(None, names, images / 'out', overwrite=True)
    assert (images / 'out/a.json').read_text() == 'mine'


def test_failure_of_one_image_is_reported_and_the_others_are_written(
    images, explained, monkeypatch, explanation
):
    answers = iter([RuntimeError('too small'), explanation])

    def explain(model, image):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(module, 'explain', explain)
    names = [str(images / 'a.png'), str(images / 'b.png')]
    summary = explain_files(None, names, images / 'out')
    assert summary.problems == {names[0]: 'too small'}
    assert [path.name for path in summary.written] == ['b.png']


def test_images_with_odd_file_names_are_explained(images, monkeypatch, explanation):
    monkeypatch.setattr(module, 'explain', lambda model, image: explanation)
    content = (images / 'a.png').read_bytes()
    names = [
        str(images / 'x$\\frac{$.png'),
        os.fsdecode(os.fsencode(images) + b'/\xff.png'),
    ]
    for name in names:
        Path(name).write_bytes(content)
    summary = explain_files(None, names, images / 'out')
    assert not summary.problems
    assert len(summary.written) == 2


def test_the_title_of_the_page_of_a_video_names_the_first_frame(
    tmp_path, monkeypatch, explanation
):
    path = str(tmp_path / 'clip.avi')
    video = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'MJPG'), 10, (32, 32))
    for _ in range(2):
        video.write(np.zeros((32, 32, 3), np.uint8))
    video.release()
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((4, 5, 3), np.uint8))
    titles = []
    monkeypatch.setattr(module, 'explain', lambda model, image: explanation)
    monkeypatch.setattr(
        module,
        'explanation_figure',
        lambda *_, title, ignored: titles.append(title) or Figure(figsize=(1, 1)),
    )
    names = [path, str(tmp_path / 'a.png')]
    assert not explain_files(None, names, tmp_path / 'out').problems
    assert titles == ['clip.avi, first frame', 'a.png']


def test_a_full_disk_gives_an_error_that_names_the_file(images, explained, monkeypatch):
    def full(path, flags):
        raise OSError(errno.ENOSPC, 'No space left on device', str(path))

    monkeypatch.setattr(atomic_write, '_sync', full)
    with pytest.raises(OutputError, match=r'out/a\.png: .*No space left'):
        explain_files(None, [str(images / 'a.png')], images / 'out')


def test_damaged_and_missing_images_are_skipped_and_reported(images, explained):
    (images / 'c.png').write_bytes(b'damaged')
    names = [str(images / 'c.png'), str(images / 'a.png'), str(images / 'gone.png')]
    summary = explain_files(None, names, images / 'out')
    assert [path.name for path in summary.written] == ['a.png']
    assert set(summary.problems) == {names[0], names[2]}


def test_the_truth_is_the_mask_with_exactly_the_name_of_the_image(images, explained):
    masks = images / 'masks'
    masks.mkdir()
    mask = np.zeros((4, 5), np.uint8)
    for name in ('a.left.png', 'b.png'):
        cv2.imwrite(str(masks / name), mask)
    mask[0] = 255
    cv2.imwrite(str(masks / 'a.png'), mask)
    # A file of a labelling program, which sorts before the mask.
    (masks / 'a.json').write_text('{}')
    summary = explain_files(None, [str(images / 'a.png')], images / 'out', masks)
    assert not summary.problems
    np.testing.assert_array_equal(explained[0], mask > 0)


def test_two_masks_with_the_name_of_the_image_are_refused(images, explained):
    """As where the folder holds the images too."""
    (images / 'masks').mkdir()
    for ending in ('png', 'bmp'):
        path = images / f'masks/a.{ending}'
        cv2.imwrite(str(path), np.zeros((4, 5), np.uint8))
    name = str(images / 'a.png')
    summary = explain_files(None, [name], images / 'out', images / 'masks')
    assert 'a.bmp and' in summary.problems[name]
    assert 'both have its name' in summary.problems[name]
    assert not explained


def test_two_images_with_the_name_of_one_mask_are_refused(images, explained):
    for folder in ('day1', 'day2', 'masks'):
        (images / folder).mkdir()
        cv2.imwrite(str(images / folder / 'c.png'), np.zeros((4, 5), np.uint8))
    names = [str(images / 'day1'), str(images / 'day2')]
    with pytest.raises(
        ValueError, match=r'day1/c\.png and .*day2/c\.png have the same'
    ):
        explain_files(None, names, images / 'out', images / 'masks')
    assert not explained
