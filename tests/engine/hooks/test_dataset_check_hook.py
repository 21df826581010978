import logging
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mcdrl_common.verification import VerificationError
from mcdrl_mmseg.engine.hooks import DatasetCheckHook
from mcdrl_mmseg.engine.hooks.dataset_check_hook import DatasetError

MODULE = 'mcdrl_mmseg.engine.main_process'


@pytest.fixture
def root(tmp_path):
    """Two sites of five pairs."""
    rng = np.random.default_rng(0)
    for site in ('north', 'west'):
        for part in ('images', 'masks'):
            (tmp_path / site / part).mkdir(parents=True)
        for number in range(5):
            pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
            mask = np.zeros((16, 16), np.uint8)
            mask[4:12, 4:12] = 255
            for part, values in (('images', pixels), ('masks', mask)):
                path = tmp_path / site / part / f'{number}.png'
                Image.fromarray(values).save(path)
    return tmp_path


@pytest.fixture
def runner(root):
    """A runner that trains on one site and tests on the other."""

    def loader(split, site):
        dataset = dict(
            type='EndoscopySiteDataset',
            data_root=str(root),
            sites=[site],
            split=split,
            pipeline=[],
        )
        return dict(dataset=dataset)

    cfg = Config(
        dict(
            train_dataloader=loader('train', 'north'),
            val_dataloader=loader('val', 'north'),
            test_dataloader=loader('all', 'west'),
        )
    )
    return SimpleNamespace(cfg=cfg, logger=logging.getLogger('runner'))


@pytest.fixture
def check(runner, tmp_path):
    """Starts a training as far as the check goes."""

    def start(**options):
        options = {'cache_dir': str(tmp_path / 'cache'), 'jobs': 1, **options}
        DatasetCheckHook(**options).before_train(runner)

    return start


@pytest.fixture
def start_test(runner, tmp_path):
    """Starts a test as far as the check goes."""

    def start(**options):
        options = {'cache_dir': str(tmp_path / 'cache'), 'jobs': 1, **options}
        DatasetCheckHook(**options).before_test(runner)

    return start


def test_good_data_are_told_of_in_one_line(check, caplog):
    caplog.set_level(logging.INFO)
    check()
    assert '10 images and 10 masks of 2 sites' in caplog.text
    assert '0 problems, 0 warnings' in caplog.text
    assert '5 test images were not compared with the training images' in caplog.text


@pytest.mark.reliability('bad input', 'training on damaged images')
def test_training_on_wrong_data_is_refused_and_every_file_named(check, root):
    (root / 'north/images/1.png').write_bytes(b'not an image')
    (root / 'north/masks/4.png').write_bytes(b'')
    with pytest.raises(DatasetError) as caught:
        check()
    assert 'north/images/1.png' in str(caught.value)
    assert 'north/masks/4.png' in str(caught.value)
    assert '2 problems' in str(caught.value)


def test_files_of_the_test_set_are_not_opened_unless_wanted(check, root):
    (root / 'west/images/1.png').write_bytes(b'not an image')
    check()
    with pytest.raises(DatasetError, match=r'west/images/1\.png'):
        check(open_test=True)


@pytest.mark.reliability('bad input', 'testing on files that would be misread')
@pytest.mark.parametrize('how', ['damaged', 'deep', 'pages'])
def test_a_test_on_files_that_would_be_misread_is_refused(start_test, root, how):
    path = root / 'west/images/1.png'
    with Image.open(path) as image:
        image.load()
    if how == 'damaged':
        path.write_bytes(path.read_bytes()[:-40])
    elif how == 'deep':
        Image.fromarray(np.full((16, 16), 4095, np.uint16)).save(path)
    else:
        path.unlink()
        path = path.with_suffix('.tif')
        image.save(path, save_all=True, append_images=[image])
    with pytest.raises(
        DatasetError, match=rf'(?s)fit for a test.*west/images/{path.name}'
    ):
        start_test()


def test_a_test_looks_at_its_own_images_alone(start_test, root):
    (root / 'north/images/1.png').write_bytes(b'not an image')
    start_test()


def test_a_test_on_images_without_lesion_or_trained_on_goes_on(
    start_test, runner, root
):
    """What they say is the user's business; how they are read is not at stake."""
    for path in (root / 'west/masks').iterdir():
        Image.new('L', (16, 16)).save(path)
    shutil.copy(root / 'north/images/1.png', root / 'west/images/1.png')
    start_test()


def test_second_start_reads_nothing(check, caplog):
    caplog.set_level(logging.INFO)
    check()
    caplog.clear()
    check()
    assert '(0 files read' in caplog.text


def test_files_are_left_alone_where_names_are_enough(check, root):
    (root / 'north/images/1.png').write_bytes(b'not an image')
    check(full=False)
    (root / 'north/masks/1.png').unlink()
    with pytest.raises(DatasetError, match=r'north/images/1\.png: no mask'):
        check(full=False)


def test_test_set_that_is_elsewhere_is_a_warning(check, root, caplog):
    shutil.rmtree(root / 'west')
    check()
    assert 'The test set is missing: missing folder' in caplog.text


def test_what_is_meant_to_be_so_may_be_allowed(check, runner):
    runner.cfg.test_dataloader = runner.cfg.train_dataloader
    with pytest.raises(DatasetError, match='same file in two splits'):
        check()
    check(allow=['same file in two splits'])
    with pytest.raises(VerificationError, match='unknown'):
        check(allow=['anything'])


def test_every_rank_stops_with_rank_0(check, root, monkeypatch):
    """The others look at nothing themselves, and are told."""

    def receive(message):
        message[:] = ['2 problems', None]

    monkeypatch.setattr(f'{MODULE}.get_rank', lambda: 1)
    monkeypatch.setattr(f'{MODULE}.broadcast_object_list', receive)
    with pytest.raises(DatasetError, match='Rank 0 failed: 2 problems'):
        check()


def test_runner_without_data_sets_in_its_config_is_warned(check, runner, caplog):
    runner.cfg = Config(dict())
    check()
    assert 'checks nothing' in caplog.text
