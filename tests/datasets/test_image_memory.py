import copy
import os
import pickle

import cv2
import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from mmseg.registry import DATASETS
from torch.utils.data import DataLoader

from mcdrl_mmseg.datasets import LoadLesionMask
from mcdrl_mmseg.datasets.image_memory import ImageMemory, stamp_of

SHAPE = (6, 8)
RESIZED = (4, 4)
META_KEYS = ('img_path', 'ori_shape', 'img_shape', 'flip', 'site', 'lesion_classes')
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLesionMask'),
    dict(type='Resize', scale=RESIZED, keep_ratio=False),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs', meta_keys=META_KEYS),
]


@pytest.fixture
def root(tmp_path):
    """A site of five images of random values, each with a lesion of another width."""
    rng = np.random.default_rng(0)
    for folder in ('images', 'masks'):
        (tmp_path / 'a' / folder).mkdir(parents=True)
    for number in range(5):
        image = rng.integers(0, 256, (*SHAPE, 3), np.uint8)
        mask = np.zeros(SHAPE, np.uint8)
        mask[:, number:] = 255
        cv2.imwrite(str(tmp_path / 'a' / 'images' / f'{number}.png'), image)
        cv2.imwrite(str(tmp_path / 'a' / 'masks' / f'{number}.png'), mask)
    return tmp_path


@pytest.fixture
def loads(monkeypatch):
    """Paths of the masks that were read from their files."""
    read = []
    transform = LoadLesionMask.transform

    def reading(self, results):
        read.append(os.path.basename(results['seg_map_path']))
        return transform(self, results)

    monkeypatch.setattr(LoadLesionMask, 'transform', reading)
    return read


def build(root, split='train', pipeline=PIPELINE, **values):
    return DATASETS.build(
        dict(
            type='EndoscopySiteDataset',
            data_root=str(root),
            sites=['a'],
            split=split,
            pipeline=pipeline,
            **values,
        )
    )


def seen(sample):
    data = sample['data_samples']
    return (
        sample['inputs'].numpy().tobytes(),
        data.gt_sem_seg.data.numpy().tobytes(),
        data.metainfo,
    )


def test_later_epochs_get_the_same_images_and_read_no_file(root, loads):
    dataset = build(root)
    np.random.seed(0)
    first = [seen(dataset[i]) for i in range(4)]
    assert loads == ['0.png', '1.png', '2.png', '3.png']
    np.random.seed(0)
    assert [seen(dataset[i]) for i in range(4)] == first
    assert len(loads) == 4


def test_random_steps_stay_random(root):
    dataset = build(root)
    np.random.seed(0)
    flips = {dataset[0]['data_samples'].metainfo['flip'] for _ in range(20)}
    assert flips == {False, True}


def test_samples_equal_those_of_the_pipeline_of_mmseg(root):
    dataset = build(root)
    np.random.seed(0)
    own = [seen(dataset.pipeline(dataset.get_data_info(i % 4))) for i in range(8)]
    np.random.seed(0)
    assert [seen(dataset[i % 4]) for i in range(8)] == own


def test_changes_in_place_by_later_steps_are_not_kept(root):
    def blacken(results):
        results['img'][:] = 0
        results['gt_seg_map'][:] = 0
        results['seg_fields'].clear()
        return results

    dataset = build(root, pipeline=[*PIPELINE[:3], PIPELINE[-1]])
    clean = seen(dataset[0])
    dataset.pipeline.transforms.insert(3, blacken)
    assert not dataset[0]['inputs'].any()
    del dataset.pipeline.transforms[3]
    assert seen(dataset[0]) == clean


def test_a_changed_image_is_read_again(root, loads):
    dataset = build(root, pipeline=[*PIPELINE[:3], PIPELINE[-1]])
    before = dataset[0]['inputs'].clone()
    path = root / 'a' / 'images' / '0.png'
    cv2.imwrite(str(path), 255 - cv2.imread(str(path)))
    after = dataset[0]['inputs']
    assert loads == ['0.png', '0.png']
    assert not np.array_equal(before, after)


def test_images_kept_for_other_steps_are_not_used(root):
    dataset = build(root)
    dataset[0]
    dataset.pipeline.transforms[2].scale = (2, 2)
    assert dataset[0]['inputs'].shape == (3, 2, 2)


def test_a_subset_gets_its_own_images_and_not_those_kept_at_its_indices(root):
    dataset = build(root, pipeline=[*PIPELINE[:3], PIPELINE[-1]])
    whole = [seen(dataset[i]) for i in range(4)]
    subset = dataset.get_subset([2, 3])
    dataset.get_subset_([3, 1])
    assert [seen(subset[i])[0] for i in range(2)] == [whole[2][0], whole[3][0]]
    assert [seen(dataset[i])[0] for i in range(2)] == [whole[3][0], whole[1][0]]


def test_images_of_whole_sites_are_kept_from_the_second_read_on(root, loads):
    """A test reads each image once: keeping them would only cost memory."""
    dataset = build(root, split='all')
    for _ in range(4):
        dataset[0]
    assert loads == ['0.png', '0.png']


def test_workers_of_the_next_epoch_use_images_that_earlier_workers_loaded(root):
    pipeline = [*PIPELINE[:3], PIPELINE[-1]]
    dataset = build(root, pipeline=pipeline)

    def epoch():
        loader = DataLoader(
            dataset,
            batch_size=1,
            num_workers=2,
            collate_fn=pseudo_collate,
            multiprocessing_context='fork',
        )
        return [batch['inputs'][0].numpy().tobytes() for batch in loader]

    first = epoch()
    # A worker that reads a file from now on fails.
    for path in (root / 'a' / 'masks').iterdir():
        old = path.stat()
        path.write_bytes(bytes(old.st_size))
        os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert epoch() == first


def test_images_beyond_the_memory_limit_are_not_kept():
    memory = ImageMemory(2, limit_bytes=5000)
    memory.put(0, 7, dict(img=np.ones(4000, np.uint8)))
    memory.put(1, 8, dict(img=np.ones(4000, np.uint8)))
    assert memory.get(0, 7)['img'].sum() == 4000
    assert memory.get(1, 8) is None
    assert memory.get(0, 9) is None


def test_copies_of_a_memory_start_empty_and_share_nothing():
    memory = ImageMemory(1)
    memory.put(0, 7, dict(img=1))
    for other in (copy.deepcopy(memory), pickle.loads(pickle.dumps(memory))):
        assert other.get(0, 7) is None
        other.put(0, 7, dict(img=2))
    assert memory.get(0, 7) == dict(img=1)


def test_an_image_that_is_not_a_local_file_has_no_stamp(root):
    known = dict(img_path=str(root / 'a' / 'images' / '0.png'))
    assert stamp_of(known, ()) == stamp_of(dict(known), ())
    assert stamp_of(dict(img_path='s3://bucket/0.png'), ()) is None
