import shutil

import numpy as np
import pytest

from mcdrl_lab.commands import main
from mcdrl_lab.data.whole_sites import entries_of
from mcdrl_lab.errors import ConversionError


def test_all_images_of_all_sites_are_listed(sites):
    assert len(entries_of(sites.root)) == 15
    # A mere warning of verify leaves no image out.
    shutil.copy(sites.mask('west'), sites.mask('west', 'more'))
    assert len(entries_of(sites.root)) == 15


def damage_classes(sites):
    (sites.root / 'west/classes.json').write_text('{}')
    return 'unusable data set: west: '


def remove_mask(sites):
    sites.mask('west').unlink()
    return 'missing mask: west/images/1.png: '


def remove_images(sites):
    shutil.rmtree(sites.root / 'west/images')
    (sites.root / 'west/images').mkdir()
    return 'no images: west/images: '


def add_namesake(sites):
    shutil.copy(sites.image('west'), sites.root / 'west/images/1.bmp')
    return "ambiguous name: west/images/1.bmp: one of several '1'; "


@pytest.mark.parametrize(
    'fault', [damage_classes, remove_mask, remove_images, add_namesake]
)
def test_a_fault_that_would_leave_images_out_is_an_error_that_names_it(sites, fault):
    told = fault(sites)
    with pytest.raises(ConversionError) as refused:
        entries_of(sites.root)
    assert told in str(refused.value)
    assert f'mcdrl_lab verify {sites.root}' in str(refused.value)


@pytest.mark.parametrize('command', ['references', 'crop-pairs', 'draw-conditions'])
def test_no_command_leaves_a_site_out_silently(sites, tmp_path, capsys, command):
    sites.put('west', '2', mask=np.zeros((48, 64), np.uint8))
    out = [] if command == 'references' else [str(tmp_path / 'out')]
    held_out = ['--held-out', 'north'] if command == 'draw-conditions' else []
    damage_classes(sites)
    assert main([command, str(sites.root), *out, *held_out]) == 2
    captured = capsys.readouterr()
    assert 'unusable data set: west: ' in captured.err
    assert not captured.out
    assert not (tmp_path / 'out').exists()
