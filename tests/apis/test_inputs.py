import os
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from mcdrl_mmseg.apis import ImageError
from mcdrl_mmseg.apis.inputs import (
    InputFile,
    Kind,
    count_images,
    find_inputs,
    frame_rate,
    read_images,
)


@pytest.fixture
def folder(tmp_path):
    """Makes files, empty except for the mark of a DICOM file."""

    def make(*names: str) -> Path:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(128) + b'DICM' if 'dicom' in name else b'')
        return tmp_path

    return make


def found(*names, **options) -> list[tuple[str, str]]:
    return [
        (f.name, f.kind.value) for f in find_inputs(map(str, names), **options).files
    ]


def test_a_folder_is_searched_with_its_subfolders_and_sorted(folder):
    root = folder('b.JPG', 'a.mp4', 'deep/er/c.png', 'deep/dicom_7', 'scan.dcm')
    assert found(root) == [
        ('a', 'video'),
        ('b', 'image'),
        ('deep/dicom_7', 'DICOM'),
        ('deep/er/c', 'image'),
        ('scan', 'DICOM'),
    ]


def test_other_and_hidden_files_of_a_folder_are_left_out(folder):
    root = folder('a.png', 'notes.txt', '.hidden.png', '.cache/b.png')
    inputs = find_inputs([str(root)])
    assert [f.name for f in inputs.files] == ['a']
    assert inputs.ignored == [root / 'notes.txt']
    assert not inputs.problems


def test_results_inside_the_input_folder_are_not_inputs(folder):
    root = folder('a.png', 'out/overlays/a.png')
    assert found(root, leave_out=root / 'out') == [('a', 'image')]


def test_a_pattern_finds_files_and_a_file_name_with_brackets_is_not_a_pattern(folder):
    root = folder('a1.png', 'a2.png', 'b1.png', 'c[1].png')
    assert found(root / 'a*.png') == [('a1', 'image'), ('a2', 'image')]
    assert found(root / 'c[1].png') == [('c[1]', 'image')]
    assert found(root / '**/*1*.png') == [
        ('a1', 'image'),
        ('b1', 'image'),
        ('c[1]', 'image'),
    ]


def test_names_without_a_file_are_reported_as_problems(folder):
    root = folder('sub/notes.txt')
    inputs = find_inputs(['gone.png', str(root / '*.png'), str(root / 'sub')])
    assert not inputs.files
    assert list(inputs.problems) == ['gone.png', f'{root}/*.png', f'{root}/sub']
    assert 'no such file' in inputs.problems['gone.png']
    assert 'without an image' in inputs.problems[f'{root}/sub']


def test_a_checkpoint_named_among_the_images_is_refused(folder):
    root = folder('best_epoch_8.pth', 'a.png')
    with pytest.raises(ImageError, match=r'best_epoch_8\.pth among the images'):
        found(root / 'best_epoch_8.pth', root / 'a.png')
    # In a folder it is ignored like other files.
    assert found(root) == [('a', 'image')]


def test_a_file_named_twice_is_taken_once(folder):
    root = folder('a.png', 'b.png')
    os.symlink(root / 'a.png', root / 'link.png')
    assert found(root / 'b.png', root, root / 'a.png') == [
        ('b', 'image'),
        ('a', 'image'),
    ]


def test_files_of_the_same_name_in_two_folders_keep_the_folder_in_their_names(folder):
    root = folder('x/1.png', 'y/1.png', 'y/2.png')
    assert found(root / 'x/1.png', root / 'y') == [
        ('x/1', 'image'),
        ('y/1', 'image'),
        ('2', 'image'),
    ]


def test_files_that_differ_only_in_their_ending_keep_it_in_their_names(folder):
    root = folder('a.png', 'A.jpg', 'a.mp4')
    names = [name for name, _ in found(root)]
    assert sorted(names) == ['A_jpg', 'a_mp4', 'a_png']


def test_files_that_folder_and_ending_do_not_distinguish_are_numbered(folder):
    root = folder('p/x/1.png', 'q/x/1.png')
    assert [n for n, _ in found(root / 'p/x/1.png', root / 'q/x/1.png')] == [
        '1_1',
        '1_2',
    ]


def test_a_lengthened_name_is_never_the_name_of_another_file(folder):
    root = folder('x/a.png', 'x/a.jpg', 'x/a_jpg.png')
    names = [name.lower() for name, _ in found(root / 'x')]
    assert len(set(names)) == 3


@pytest.mark.reliability(
    'bad input', 'a video, and images in a folder that is called as its frames'
)
@pytest.mark.parametrize(
    ('files', 'told_apart'),
    [
        # Frames of the video lie in clip.mp4/, its overlays in clip.mp4.
        (
            ('x/clip.mp4', 'y/clip.mp4/000001.png', 'y/clip.mp4/7.png'),
            ['x/clip', 'y/clip.mp4/000001', 'y/clip.mp4/7'],
        ),
        (
            ('x/CLIP.avi', 'x/clip.mp4/1.png'),
            ['CLIP_avi', 'clip.mp4/1_png'],
        ),
        (
            ('x/dicom', 'y/dicom/000001.png', 'y/z.png'),
            ['x/dicom', 'y/dicom/000001', 'z'],
        ),
        # The result of an image is a file a.png; explain also writes a.json.
        (('x/a.bmp', 'x/a.png/1.bmp'), ['a_bmp', 'a.png/1_bmp']),
        (('x/a.png', 'y/A.json/b/1.bmp'), ['x/a', 'y/A.json/b/1']),
    ],
)
def test_results_of_two_files_never_have_the_same_path(folder, files, told_apart):
    root = folder(*files)
    roots = sorted({root / name.partition('/')[0] for name in files})
    assert [name for name, _ in found(*roots)] == told_apart


def test_names_of_thousands_of_files_are_found_within_seconds(folder):
    root = folder('clip.avi', *(f'clip.mp4/{n}.png' for n in range(3000)))
    start = time.process_time()
    assert len(set(found(root))) == 3001
    assert time.process_time() - start < 5


@pytest.fixture
def video(tmp_path) -> InputFile:
    path = tmp_path / 'clip.mp4'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10, (64, 48))
    for number in range(12):
        writer.write(np.full((48, 64, 3), 20 * number, np.uint8))
    writer.release()
    return InputFile(path, Kind.VIDEO, 'clip')


def test_all_frames_of_a_video_are_read_in_order(video):
    frames = list(read_images(video))
    assert count_images(video) == len(frames) == 12
    assert frame_rate(video) == 10
    assert frames[0].shape == (48, 64, 3)
    means = [frame.mean() for frame in frames]
    np.testing.assert_allclose(means, np.arange(12) * 20, atol=8)


def test_a_video_that_ends_early_gives_its_frames_and_then_an_error(video, monkeypatch):
    opened = cv2.VideoCapture(str(video.path))
    cut = SimpleNamespace(
        read=opened.read,
        release=opened.release,
        isOpened=lambda: True,
        get=lambda key: {cv2.CAP_PROP_FRAME_COUNT: 24.0}.get(key, 1.0),
    )
    monkeypatch.setattr(cv2, 'VideoCapture', lambda *args: cut)
    frames = read_images(video)
    for _ in range(12):
        next(frames)
    with pytest.raises(ImageError, match=r'clip\.mp4: .* ends after 12 of 24 frames'):
        next(frames)


@pytest.mark.reliability('security', 'a video of billions of pixels')
def test_a_video_of_too_many_pixels_is_refused_before_a_frame_is_decoded(
    video, monkeypatch
):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 64 * 48 - 1)
    decoded = []
    made = cv2.VideoCapture

    def watched(*args):
        opened = made(*args)
        return SimpleNamespace(
            read=lambda: decoded.append(1) or opened.read(),
            release=opened.release,
            isOpened=opened.isOpened,
            get=opened.get,
        )

    monkeypatch.setattr(cv2, 'VideoCapture', watched)
    for use in (count_images, frame_rate, lambda f: next(read_images(f))):
        with pytest.raises(ImageError, match=r'clip\.mp4: too many pixels: 64 x 48'):
            use(video)
    assert decoded == []
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 64 * 48)
    assert len(list(read_images(video))) == 12


def test_a_damaged_or_missing_video_is_named_in_the_error(tmp_path):
    path = tmp_path / 'odd.mp4'
    file = InputFile(path, Kind.VIDEO, 'odd')
    with pytest.raises(ImageError, match=r'odd\.mp4: no such file'):
        next(read_images(file))
    path.write_bytes(bytes(4) + b'ftyp, no video')
    for use in (count_images, frame_rate, lambda f: next(read_images(f))):
        with pytest.raises(ImageError, match=r'odd\.mp4: OpenCV cannot open'):
            use(file)


def test_an_image_file_counts_as_one_image(tmp_path):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), np.full((4, 5, 3), 9, np.uint8))
    file = InputFile(path, Kind.IMAGE, 'a')
    assert count_images(file) == 1
    (image,) = read_images(file)
    assert image.shape == (4, 5, 3)
