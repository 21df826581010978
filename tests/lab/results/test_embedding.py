import json
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from mcdrl_common.trained_sites import TrainedSites
from mcdrl_common.written_files import OutputError
from mcdrl_lab.results import embedding
from mcdrl_lab.results.config_batches import batches
from mcdrl_lab.results.embedding import probe_features, write_embedding


@DATASETS.register_module()
class NumberedDataset(BaseDataset):
    """Samples that are numbers."""

    def load_data_list(self):
        return [dict(number=number) for number in range(5)]

    def prepare_data(self, index):
        return self.pipeline(self.get_data_info(index))


@pytest.fixture
def cfg():
    def loader(**changes):
        dataset = dict(type='NumberedDataset', lazy_init=False, pipeline=[])
        return dict(
            batch_size=2,
            num_workers=0,
            persistent_workers=True,
            sampler=dict(type='DefaultSampler', shuffle=True),
            dataset=dataset,
            **changes,
        )

    return Config(
        dict(
            default_scope='mmseg',
            test_pipeline=[],
            train_dataloader=loader(drop_last=True),
            val_dataloader=loader(),
        )
    )


def numbers(loaded):
    return [number for batch in loaded for number in np.ravel(batch['number'])]


def test_training_images_come_in_order_and_none_is_dropped(cfg):
    before = cfg.to_dict()
    assert numbers(batches(cfg, ['train'])) == [0, 1, 2, 3, 4]
    assert cfg.to_dict() == before


def test_loaders_are_read_one_after_the_other(cfg):
    assert len(numbers(batches(cfg, ['train', 'val']))) == 10
    assert sorted(numbers(batches(cfg, ['val']))) == [0, 1, 2, 3, 4]


def test_missing_loader_is_named_in_the_error(cfg):
    with pytest.raises(ValueError, match='has no test_dataloader'):
        list(batches(cfg, ['test']))


def features_of(sites, sequences=None):
    """F tells the sites apart, F_ca does not."""
    rng = np.random.default_rng(0)
    sites = np.array(sites)
    noise = rng.normal(size=(len(sites), 3))
    shifted = noise + 100 * (sites == sites[0])[:, None]
    return dict(
        F=shifted,
        F_ca=noise,
        sites=sites,
        lesions=np.array(['polyp'] * len(sites)),
        sequences=np.array(sequences or [None] * len(sites), dtype=object),
    )


def test_probes_tell_the_sites_apart_from_f_and_not_from_f_ca():
    scores, reasons = probe_features(features_of(['a'] * 40 + ['b'] * 40))
    assert scores['F', 'site'].accuracy == 1.0
    assert scores['F_ca', 'site'].accuracy < 0.75
    assert set(scores) == {('F', 'site'), ('F_ca', 'site')}
    assert "two classes or more, got ['polyp']" in reasons['lesion']


def test_there_are_no_more_probe_folds_than_sequences_of_a_site():
    sites = ['a'] * 8 + ['b'] * 8
    sequences = ['v1', 'v2'] * 4 + ['w1', 'w2', 'w3', 'w4'] * 2
    scores, _ = probe_features(features_of(sites, sequences))
    # Site a has two sequences, so that there can be two folds and no more.
    assert len(scores['F', 'site'].folds) == 2


@pytest.fixture
def trained_at(monkeypatch):
    """Replaces a model by these features, and by the sites that it was trained at."""

    def replace(features, *sites):
        model = SimpleNamespace(trained_sites=TrainedSites(sites, 'c'))
        monkeypatch.setattr(embedding, 'load_segmentor', lambda *_: model)
        monkeypatch.setattr(embedding, 'collect_features', lambda *_: features)

    return replace


@pytest.mark.parametrize(
    ('loader', 'seen'), [('train', 'a, b'), ('val', ''), ('test', 'b')]
)
def test_images_of_sites_that_were_trained_on_are_noted(
    cfg, tmp_path, trained_at, loader, seen
):
    # As if the config was read with another MCDRL_HELD_OUT than in training.
    cfg.train_dataloader.dataset.update(sites=[dict(name='a'), dict(name='b')])
    cfg.val_dataloader.dataset.update(sites=[dict(name='a')], split='val')
    cfg.test_dataloader = dict(dataset=dict(sites=[dict(name='b'), dict(name='c')]))
    trained_at(features_of(['a'] * 20 + ['b'] * 20), 'a', 'b')
    text = write_embedding(
        cfg, 'a.pth', tmp_path / 'x.png', [loader, 'val'], perplexity=5
    )
    assert (f'note: a.pth was trained on images of {seen}: these' in text) == bool(seen)
    assert ('note: ' in text) == bool(seen)


def test_images_in_two_loaders_count_once(cfg, tmp_path, trained_at, monkeypatch):
    # As if no site is held out and the test set is the validation set.
    sites = ['a'] * 20 + ['b'] * 20
    trained_at(features_of(sites))
    samples = [dict(img_path=f'{number}.png') for number in range(len(sites))]
    batch = dict(inputs=samples, data_samples=samples)
    monkeypatch.setattr(embedding, 'batches', lambda _, names: [batch] * len(names))

    def collect(_, loaded):
        count = sum(len(one['inputs']) for one in loaded)
        return features_of(sites[:1] * (count - 20) + sites[20:])

    monkeypatch.setattr(embedding, 'collect_features', collect)
    text = write_embedding(cfg, 'a.pth', tmp_path / 'x.png', perplexity=5)
    assert 'Linear probes on 40 images' in text


def test_files_of_the_user_are_kept_and_older_results_replaced_only_on_request(
    cfg, tmp_path, trained_at
):
    features = features_of(['a'] * 20 + ['b'] * 20)
    trained_at(features)
    out, scores = tmp_path / 'x.png', tmp_path / 'x.json'

    def write(**options):
        write_embedding(cfg, tmp_path / 'a.pth', out, perplexity=5, **options)

    for path in (out, scores):
        path.write_text('made by hand')
        for overwrite in (False, True):
            with pytest.raises(OutputError, match=f'in the way: .*{path.name}'):
                write(overwrite=overwrite)
        assert path.read_text() == 'made by hand'
        path.unlink()
    write()
    found = json.loads(scores.read_text())
    assert found['images'] == 40
    # Results of an earlier run are replaced on request.
    with pytest.raises(OutputError, match='results of an earlier run'):
        write()
    write(overwrite=True, seed=1)
    assert json.loads(scores.read_text())['seed'] == 1
