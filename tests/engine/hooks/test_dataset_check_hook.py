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
    """Starts a training up to the end of the check."""

    def start(**options):
        options = {'cache_dir': str(tmp_path / 'cache'), 'jobs': 1, **options}
        DatasetCheckHook(**options).before_train(runner)

    return start


@pytest.fixture
def start_test(runner, tmp_path):
    """Starts a test up to the end of the check."""

    def start(**options):
        options = {'cache_dir': str(tmp_path / 'cache'), 'jobs': 1, **options}
        DatasetCheckHook(**options).before_test(runner)

    return start


def test_good_data_are_reported_in_the_log(check, caplog):
    caplog.set_level(logging.INFO)
    check()
    assert '10 images and 10 masks of 2 sites' in caplog.text
    assert '0 problems, 0 warnings' in caplog.text
    assert '5 test images were not compared with the training images' in caplog.text


@pytest.mark.reliability('bad input', 'training on damaged images')
def test_training_on_damaged_data_is_refused_with_every_file_named(check, root):
    (root / 'north/images/1.png').write_bytes(b'not an image')
    (root / 'north/masks/4.png').write_bytes(b'')
    with pytest.raises(DatasetError) as caught:
        check()
    assert 'north/images/1.png' in str(caught.value)
    assert 'north/masks/4.png' in str(caught.value)
    assert '2 problems' in str(caught.value)


def test_files_of_the_test_set_are_opened_only_on_request(check, root):
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


def test_a_test_checks_only_its_own_images(start_test, root):
    (root / 'north/images/1.png').write_bytes(b'not an image')
    start_test()


def test_a_test_on_images_without_lesion_or_from_training_is_accepted(
    start_test, runner, root
):
    """What the test set contains is the user's choice; only misreading is refused."""
    for path in (root / 'west/masks').iterdir():
        Image.new('L', (16, 16)).save(path)
    shutil.copy(root / 'north/images/1.png', root / 'west/images/1.png')
    start_test()


def test_a_second_start_reads_no_file_again(check, caplog):
    caplog.set_level(logging.INFO)
    check()
    caplog.clear()
    check()
    assert '(0 files read' in caplog.text


def test_with_full_false_only_names_are_checked(check, root):
    (root / 'north/images/1.png').write_bytes(b'not an image')
    check(full=False)
    (root / 'north/masks/1.png').unlink()
    with pytest.raises(DatasetError, match=r'north/images/1\.png: no mask'):
        check(full=False)


def test_a_missing_test_set_is_a_warning(check, root, caplog):
    shutil.rmtree(root / 'west')
    check()
    assert 'The test set is missing: missing folder' in caplog.text


def test_intended_findings_can_be_allowed_by_their_kind(check, runner):
    runner.cfg.test_dataloader = runner.cfg.train_dataloader
    with pytest.raises(DatasetError, match='same file in two splits'):
        check()
    check(allow=['same file in two splits'])
    with pytest.raises(VerificationError, match='unknown'):
        check(allow=['anything'])


def test_every_rank_stops_with_rank_0(check, root, monkeypatch):
    """The other ranks check nothing themselves and receive the failure."""

    def receive(message):
        message[:] = ['2 problems', None]

    monkeypatch.setattr(f'{MODULE}.get_rank', lambda: 1)
    monkeypatch.setattr(f'{MODULE}.broadcast_object_list', receive)
    with pytest.raises(DatasetError, match='Rank 0 failed: 2 problems'):
        check()


def test_a_runner_without_datasets_in_its_config_gives_a_warning(check, runner, caplog):
    runner.cfg = Config(dict())
    check()
    assert 'checks nothing' in caplog.text
