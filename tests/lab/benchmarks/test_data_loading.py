"""Images per second, by a clock that is set by hand."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mcdrl_lab.benchmarks import data_loading as loading
from mcdrl_lab.benchmarks.data_loading import measure_loading
from mcdrl_lab.benchmarks.models import Subject
from mcdrl_lab.errors import ProtocolError

_IMAGES = 14


@pytest.fixture(scope='module')
def data_folder(tmp_path_factory):
    """A site of 14 images."""
    root = tmp_path_factory.mktemp('data')
    for folder, ending in (('images', 'jpg'), ('masks', 'png')):
        (root / 'site' / folder).mkdir(parents=True)
        for number in range(_IMAGES):
            path = root / 'site' / folder / f'{number:02}.{ending}'
            shape = (8, 8, 3) if folder == 'images' else (8, 8)
            cv2.imwrite(str(path), np.zeros(shape, np.uint8))
    return root


@pytest.fixture
def new_subject(data_folder):
    """Make a config whose loader gives batches of the given size."""

    def make(batch_size: int) -> Subject:
        loader = dict(
            batch_size=batch_size,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(
                type='EndoscopySiteDataset',
                data_root=str(data_folder),
                sites=['site'],
                pipeline=[
                    dict(type='LoadImageFromFile'),
                    dict(type='LoadLesionMask'),
                    dict(type='Resize', scale=(4, 4)),
                    dict(type='PackSegInputs'),
                ],
            ),
        )
        return Subject('mine', Config(dict(train_dataloader=loader)))

    return make


@pytest.fixture(autouse=True)
def _two_seconds(monkeypatch):
    """Two seconds pass between the two readings of the clock."""
    clock = iter([10.0, 12.0])
    monkeypatch.setattr(loading, 'time', SimpleNamespace(perf_counter=clock.__next__))


@pytest.mark.parametrize(
    ('batch_size', 'counted'),
    [
        # 3 + 3 + 3 + 2: the first batch, before which workers start, does not count.
        (3, 11),
        # 12 batches are enough.
        (1, 12),
    ],
)
def test_images_of_up_to_twelve_batches_after_the_first_count(
    new_subject, batch_size, counted
):
    assert measure_loading(new_subject(batch_size)) == dict(
        name='mine', images_per_second=counted / 2, workers=0
    )


def test_a_cache_is_filled_before_the_clock_starts(new_subject, tmp_path):
    subject = new_subject(3)
    before = subject.cfg.to_dict()
    found = measure_loading(subject, str(tmp_path))
    assert found == dict(name='mine (cached)', images_per_second=5.5, workers=0)
    assert len(list(tmp_path.glob('*.safetensors'))) == _IMAGES
    assert subject.cfg.to_dict() == before


def test_a_single_batch_is_too_little_to_measure(new_subject):
    with pytest.raises(ProtocolError, match=r'^mine: .* single batch.*batch_size'):
        measure_loading(new_subject(_IMAGES))


def test_a_config_without_training_data_is_named():
    with pytest.raises(ProtocolError, match=r'^mine: no train_dataloader'):
        measure_loading(Subject('mine', Config(dict(model={}))))


def test_missing_data_is_an_error_that_names_config_and_folder(new_subject, tmp_path):
    subject = new_subject(4)
    subject.cfg.train_dataloader.dataset.data_root = str(tmp_path / 'gone')
    with pytest.raises(ProtocolError, match=r'^mine: data_root=.*gone.* not a folder'):
        measure_loading(subject)
