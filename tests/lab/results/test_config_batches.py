"""Data loaders of a config, as features and selections are computed from them."""

import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.structures import SegDataSample

from mcdrl_lab.results.config_batches import batches, each_once

TEST = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]
TRAIN = [TEST[0], dict(type='RandomFlip', prob=0.5), TEST[1]]


@pytest.fixture
def train_loader(monkeypatch):
    """Function that gives the loader config made for a training dataset."""
    monkeypatch.setattr(Runner, 'build_dataloader', lambda loader: [loader])

    def build(dataset) -> Config:
        cfg = Config(
            dict(
                test_pipeline=TEST,
                train_dataloader=dict(batch_size=8, dataset=dataset),
                test_dataloader=dict(batch_size=1),
            )
        )
        (loader,) = batches(cfg, ['train'])
        return loader

    return build


def test_training_images_of_wrapped_datasets_use_the_test_pipeline(
    train_loader,
):
    own = dict(type='SetSite', site='a')
    one = dict(type='BaseSegDataset', pipeline=[own, *TRAIN])
    other = dict(type='BaseSegDataset', pipeline=TRAIN)
    loader = train_loader(
        dict(
            type='ConcatDataset',
            datasets=[dict(type='RepeatDataset', times=2, dataset=one), other],
        )
    )
    assert 'pipeline' not in loader.dataset
    repeated, plain = loader.dataset.datasets
    assert 'pipeline' not in repeated
    assert repeated.dataset.pipeline == [own, *TEST]
    assert plain.pipeline == TEST


def test_training_images_are_loaded_with_the_batch_size_of_the_test(
    train_loader,
):
    assert train_loader(dict(type='BaseSegDataset', pipeline=TRAIN)).batch_size == 1


def test_an_image_in_several_loaders_or_batches_is_returned_once():
    def batch(*paths):
        metas = [{} if path is None else dict(img_path=path) for path in paths]
        samples = [SegDataSample(metainfo=meta) for meta in metas]
        return dict(inputs=list(range(len(paths))), data_samples=samples)

    first, repeated = batch('a', 'b'), batch('a', 'b')
    loaded = [first, repeated, batch('c', 'a', 'd'), batch(None, None)]
    whole, partial, unnamed = each_once(loaded)
    assert whole is first
    assert partial['inputs'] == [0, 2]
    assert [s.img_path for s in partial['data_samples']] == ['c', 'd']
    # Images without a path may be different ones.
    assert len(unnamed['inputs']) == 2
