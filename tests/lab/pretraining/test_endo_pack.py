"""Reading the pretraining pack, and which part an image belongs to."""

import numpy as np
import pytest

from mcdrl_lab.pretraining.endo_pack import (
    CHOOSE,
    HELD_OUT,
    TRAIN,
    PackError,
    load_pack,
    part_of,
    read_entries,
)


def test_a_group_is_in_one_part_and_a_test_split_is_held_out():
    assert part_of('any', 'cp_child', 'test') == HELD_OUT
    groups = [f'group_{number}' for number in range(2000)]
    parts = [part_of(group, 'kvasir_seg', '') for group in groups]
    shares = [parts.count(part) / len(parts) for part in (TRAIN, CHOOSE, HELD_OUT)]
    np.testing.assert_allclose(shares, [0.7, 0.1, 0.2], atol=0.03)
    assert part_of(groups[0], 'kvasir_seg', '') == parts[0]
    # The train split of cp_child is only for training and choosing.
    train = {part_of(group, 'cp_child', 'train') for group in groups}
    assert train == {TRAIN, CHOOSE}


def test_parts_share_no_group(endo_pack_root):
    by_part = {
        part: {e.group for e in read_entries(endo_pack_root) if e.part == part}
        for part in (TRAIN, CHOOSE, HELD_OUT)
    }
    assert not by_part[TRAIN] & by_part[HELD_OUT]
    assert not by_part[TRAIN] & by_part[CHOOSE]


def test_pack_images_have_a_mask_if_one_is_known(endo_pack_root):
    pack = load_pack(endo_pack_root, TRAIN)
    for entry, image, mask in zip(pack.entries, pack.images, pack.masks):
        assert image.shape == (48, 48, 3) and image[..., 0].mean() > 140, 'red first'
        if entry.dataset == 'kvasir_seg':
            assert set(np.unique(mask)) == {0, 1}
        elif entry.label == 'normal mucosa':
            assert not mask.any()
        else:
            assert mask is None
    rows = pack.rows_of('cp_child/polyp')
    assert len(rows) and all(pack.entries[r].kind == 'cp_child/polyp' for r in rows)


def test_a_data_set_can_be_left_out(endo_pack_root):
    entries = read_entries(endo_pack_root, without=('kvasir_seg',))
    assert {entry.dataset for entry in entries} == {'cp_child', 'wcebleedgen'}


@pytest.mark.parametrize('name', ['kvasir-seg', ' kvasir_seg'])
def test_leaving_out_an_unknown_data_set_is_an_error(endo_pack_root, name):
    with pytest.raises(PackError, match=f"no data set .'{name}'.*'kvasir_seg'"):
        load_pack(endo_pack_root, TRAIN, ['cp_child', name])


@pytest.mark.parametrize(
    ('old', 'new', 'words'),
    [('luminance', 'light', "no column 'luminance'"), ('.', 'x', 'a row is damaged')],
)
def test_a_damaged_table_is_named_with_its_fault(
    endo_pack_root, tmp_path, old, new, words
):
    text = (endo_pack_root / 'labels.csv').read_text()
    (tmp_path / 'labels.csv').write_text(text.replace(old, new))
    with pytest.raises(PackError, match=rf'labels\.csv.*{words}'):
        read_entries(tmp_path)


def test_a_missing_pack_or_image_is_named(endo_pack_root, tmp_path):
    with pytest.raises(PackError, match=r'labels\.csv is missing'):
        load_pack(tmp_path, TRAIN)
    (tmp_path / 'labels.csv').write_text((endo_pack_root / 'labels.csv').read_text())
    with pytest.raises(PackError, match=r'\.jpg is missing or not an image'):
        load_pack(tmp_path, TRAIN)
