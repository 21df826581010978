import os
import sys

import cv2
import numpy as np
import pytest

from mcdrl_lab.serving import examples as module
from mcdrl_lab.serving.examples import load_examples
from mcdrl_lab.serving.uploads import UploadError


def test_examples_are_sorted_by_name_and_have_thumbnails(tmp_path, encode, pixels):
    large = np.repeat(np.repeat(pixels, 8, axis=0), 8, axis=1)
    (tmp_path / 'b.PNG').write_bytes(encode(large, 'PNG'))
    (tmp_path / 'a.tif').write_bytes(encode(pixels, 'TIFF'))
    (tmp_path / 'notes.txt').write_text('not an image')
    (tmp_path / 'folder.jpg').mkdir()
    examples, skipped = load_examples(tmp_path, 10**7)
    assert [example.name for example in examples] == ['a.tif', 'b.PNG']
    assert examples[1].content == (tmp_path / 'b.PNG').read_bytes()
    thumbnail = cv2.imdecode(np.frombuffer(examples[1].thumbnail, np.uint8), 1)
    assert thumbnail.shape == (144, 192, 3)
    assert len(skipped) == 1
    assert 'folder.jpg' in skipped[0]


def test_unusable_files_are_named_and_left_out(tmp_path, encode, pixels):
    (tmp_path / 'bad.jpg').write_bytes(b'nonsense')
    (tmp_path / 'good.png').write_bytes(encode(pixels, 'PNG'))
    (tmp_path / 'large.bmp').write_bytes(encode(pixels, 'BMP'))
    examples, skipped = load_examples(tmp_path, 5000)
    assert [example.name for example in examples] == ['good.png']
    assert len(skipped) == 2
    assert 'bad.jpg: This is not a PNG' in skipped[0]
    assert 'large.bmp: 0.0 MB, more than --max-upload-mb' in skipped[1]


def test_only_the_first_images_are_offered_if_there_are_too_many(
    tmp_path, encode, pixels, monkeypatch
):
    monkeypatch.setattr(module, 'MAX_EXAMPLES', 2)
    for name in 'abc':
        (tmp_path / f'{name}.png').write_bytes(encode(pixels, 'PNG'))
    examples, skipped = load_examples(tmp_path, 10**7)
    assert [example.name for example in examples] == ['a.png', 'b.png']
    assert skipped == ['Only the first 2 of 3 images are offered.']


def test_a_folder_without_a_usable_image_is_an_error(tmp_path):
    with pytest.raises(UploadError, match='no such folder'):
        load_examples(tmp_path / 'absent', 10**7)
    (tmp_path / 'bad.png').write_bytes(b'nonsense')
    with pytest.raises(UploadError, match=r'(?s)no image in it can be used.*bad\.png'):
        load_examples(tmp_path, 10**7)


@pytest.mark.reliability('security', 'web page: an example that is a pipe')
@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='no named pipes')
def test_a_named_pipe_among_the_examples_is_skipped(tmp_path, encode, pixels):
    (tmp_path / 'good.png').write_bytes(encode(pixels, 'PNG'))
    os.mkfifo(tmp_path / 'pipe.png')
    examples, skipped = load_examples(tmp_path, 10**7)
    assert [example.name for example in examples] == ['good.png']
    assert skipped == [f'Skipped {tmp_path}/pipe.png: not a regular file.']


@pytest.mark.skipif(sys.platform != 'linux', reason='names are bytes on Linux alone')
def test_a_name_that_is_not_valid_unicode_is_shown_with_question_marks(
    tmp_path, encode, pixels
):
    path = os.fsencode(tmp_path / 'a') + b'\xff.png'
    with open(path, 'wb') as file:
        file.write(encode(pixels, 'PNG'))
    examples, _ = load_examples(tmp_path, 10**7)
    assert [example.name for example in examples] == ['a?.png']
    examples[0].name.encode()
