import argparse
import shutil

import cv2
import numpy as np
import pytest
import torch

from mcdrl_lab.benchmarks import compare_exported_command
from mcdrl_lab.benchmarks.exported_models import compare_exported, image_pairs
from mcdrl_lab.commands import main
from mcdrl_mmseg.apis.export.deployable import DeployableSegmentor
from mcdrl_mmseg.apis.export.runtime import ExportedModel
from mcdrl_mmseg.apis.image_pipeline import ImageError


@pytest.fixture
def model(vit):
    return vit.build().eval()


@pytest.fixture
def folders(tmp_path, new_pixels):
    """Two images, the second without lesion, and one without a mask."""
    for name in ('images', 'masks'):
        (tmp_path / name).mkdir()
    for number in range(3):
        image = new_pixels(1, 48, 80, seed=number)[0].transpose(1, 2, 0)
        cv2.imwrite(str(tmp_path / f'images/{number}.jpg'), image)
    mask = np.zeros((48, 80), np.uint8)
    cv2.imwrite(str(tmp_path / 'masks/1.png'), mask)
    mask[:24] = 255
    cv2.imwrite(str(tmp_path / 'masks/0.png'), mask)
    return tmp_path


def test_images_are_paired_with_masks_by_name(folders):
    pairs = image_pairs(folders / 'images', folders / 'masks')
    assert [(i.name, m.name) for i, m in pairs] == [
        ('0.jpg', '0.png'),
        ('1.jpg', '1.png'),
    ]
    with pytest.raises(ImageError, match='no image in'):
        image_pairs(folders / 'images', folders / 'images')


def test_images_with_the_same_name_are_refused(folders):
    shutil.copy(folders / 'images/2.jpg', folders / 'images/0 b.jpg')
    assert len(image_pairs(folders / 'images', folders / 'masks')) == 2
    shutil.copy(folders / 'images/2.jpg', folders / 'images/0.bmp')
    with pytest.raises(ImageError, match=r'0\.bmp and .*0\.jpg have the same name'):
        image_pairs(folders / 'images', folders / 'masks')


def file_of(tmp_path, name, run, height=64):
    path = tmp_path / name
    path.write_bytes(b'0' * 2_000_000)
    return ExportedModel(path, dict(height=height, width=64), run)


def test_dice_and_largest_difference_are_computed_from_the_maps(folders, model):
    module = DeployableSegmentor(model)

    @torch.no_grad()
    def same(pixels):
        return module(torch.from_numpy(pixels)).numpy()

    def upper_half(pixels):
        logits = np.full((1, 2, 64, 64), -9, np.float32)
        logits[:, 1, :32] = 9
        logits[:, 0, 32:] = 9
        return logits

    def all_lesion(pixels):
        return np.float32([-9, 9])[None, :, None, None].repeat(64, 2).repeat(64, 3)

    runs = dict(same=same, upper=upper_half, all=all_lesion)
    files = [file_of(folders, name, run) for name, run in runs.items()]
    pairs = image_pairs(folders / 'images', folders / 'masks')
    rows = compare_exported(model, files, pairs, rounds=2)
    assert [row['name'] for row in rows] == ['PyTorch', *runs]
    assert rows[1]['dice'] == rows[0]['dice']
    assert rows[1]['largest_difference'] == 0
    # The image without a lesion counts in no mean.
    assert rows[2]['dice'] == 100
    assert rows[3]['dice'] == pytest.approx(200 / 3)
    assert rows[3]['largest_difference'] > 0.3
    assert rows[3]['megabytes'] == 2


def test_dice_of_several_lesion_classes_is_that_of_the_label_map(folders, model):
    def undecided(pixels):
        # In the upper half a lesion class scores highest, in the lower the background,
        # though both lesion classes together have more than one half.
        logits = np.zeros((1, 3, 64, 64), np.float32)
        logits[:, 1, :32] = 0.5
        logits[:, 0, 32:] = 0.5
        return logits

    def one_channel(pixels):
        return np.float32([1, -1]).repeat(32)[None, None, :, None].repeat(64, 3)

    files = [file_of(folders, run.__name__, run) for run in (undecided, one_channel)]
    pairs = image_pairs(folders / 'images', folders / 'masks')
    rows = compare_exported(model, files, pairs, rounds=1)
    assert [row['dice'] for row in rows[1:]] == [100, 100]


def test_exported_files_of_different_sizes_are_refused(folders, model):
    files = [file_of(folders, str(h), None, height=h) for h in (64, 96)]
    with pytest.raises(ValueError, match='the same size'):
        compare_exported(model, files, [])


def test_a_mask_of_another_size_than_its_image_is_refused(folders, model):
    turned = np.zeros((80, 48), np.uint8)
    turned[:24] = 255
    cv2.imwrite(str(folders / 'masks/1.png'), turned)
    pairs = image_pairs(folders / 'images', folders / 'masks')
    file = file_of(folders, 'a', lambda pixels: np.zeros((1, 2, 64, 64), np.float32))
    with pytest.raises(ImageError, match=r'1\.png: the mask is \(80, 48\), the image'):
        compare_exported(model, [file], pairs, rounds=1)


def test_the_number_of_images_without_a_mask_is_reported(folders, capsys):
    (folders / 'a.onnx').write_bytes(b'none')
    arguments = ['best.pth', str(folders / 'a.onnx')]
    arguments += ['--images', str(folders / 'images')]
    arguments += ['--masks', str(folders / 'masks')]
    parser = argparse.ArgumentParser()
    compare_exported_command.add_arguments(parser)
    assert compare_exported_command.run(parser.parse_args(arguments)) == 2
    told = capsys.readouterr().err
    assert '1 of 3 files in ' in told
    assert 'are left out' in told


@pytest.fixture
def compared(folders, monkeypatch):
    """Run the command on files with these names; nothing is measured."""
    for name in ('load_segmentor', 'open_exported'):
        module = dict(load_segmentor='checkpoint', open_exported='export.runtime')
        path = f'mcdrl_mmseg.apis.{module[name]}.{name}'
        monkeypatch.setattr(path, lambda *_: None)
    path = 'mcdrl_lab.benchmarks.exported_models.compare_exported'
    monkeypatch.setattr(path, lambda *_: [dict(file='x', milliseconds=1.0)])
    where = ['--images', str(folders / 'images'), '--masks', str(folders / 'masks')]

    def run(*words):
        return main(['compare-exported', *map(str, words), *where])

    return run


def test_a_comparison_replaces_its_own_result_and_another_only_on_request(
    folders, compared, capsys
):
    out = ('--out', folders / 'times.json')
    a, b = folders / 'a.onnx', folders / 'b.onnx'
    assert [compared('best.pth', a, *out) for _ in range(2)] == [0, 0]
    assert compared('best.pth', a, b, *out) == 0
    before = out[1].read_bytes()
    assert compared('best.pth', a, *out) == 2
    assert f'times.json was made with {b}. Choose another' in capsys.readouterr().err
    assert out[1].read_bytes() == before
    assert compared('best.pth', a, *out, '--overwrite') == 0


def test_foreign_files_and_inputs_are_never_replaced(folders, compared, capsys):
    notes = folders / 'notes.json'
    notes.write_text('mine')
    assert compared('best.pth', 'a.onnx', '--out', notes, '--overwrite') == 2
    assert 'not written here' in capsys.readouterr().err
    mask = folders / 'masks/0.png'
    before = mask.read_bytes()
    # An input is recognised behind a link, too.
    mask.rename(mask.with_suffix('.json'))
    mask.symlink_to(mask.with_suffix('.json'))
    mask = mask.with_suffix('.json')
    assert compared('best.pth', 'a.onnx', '--out', mask, '--overwrite') == 2
    assert 'an input' in capsys.readouterr().err
    assert (notes.read_text(), mask.read_bytes()) == ('mine', before)
