"""A start with a warm cache, which needs no text tower."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mcdrl_lab.benchmarks import latency
from mcdrl_lab.benchmarks.models import against, load_subject
from mcdrl_lab.benchmarks.starting import measure_start
from mcdrl_lab.errors import ProtocolError
from mcdrl_mmseg.clip import embedding_cache, text
from mcdrl_mmseg.engine.hooks import ConfounderDictionaryHook


@pytest.fixture
def built_towers(monkeypatch) -> list[str]:
    """Names of the text towers that were built."""
    names, build = [], text.build_text_tower

    def counted(spec):
        names.append(spec.model_name)
        return build(spec)

    monkeypatch.setattr(text, 'build_text_tower', counted)
    return names


@pytest.fixture
def reads(monkeypatch) -> list[bool]:
    """For every read of the cache, whether it held the embeddings."""
    found, read = [], embedding_cache.read_embeddings

    def watched(path, fingerprint):
        embeddings = read(path, fingerprint)
        found.append(embeddings is not None)
        return embeddings

    monkeypatch.setattr(embedding_cache, 'read_embeddings', watched)
    return found


def test_the_first_start_has_an_empty_cache_and_the_next_five_a_warm_one(
    vit, built_towers, reads, monkeypatch, tmp_path
):
    """The user's cache is not used, however warm it is."""
    monkeypatch.setenv('MCDRL_CACHE_DIR', str(tmp_path))
    found = measure_start(vit)
    assert reads == [False, True, True, True, True, True]
    assert built_towers == ['mcdrl-tiny-vit']
    assert list(tmp_path.iterdir()) == []
    assert found.keys() == {'name', 'cold', 'warm'}
    assert found['name'] == vit.name


def test_times_are_the_cold_start_and_the_quartiles_of_the_warm_ones(vit, monkeypatch):
    """In seconds 4, then 0.005, 0.001, 0.003, 0.004 and 0.002."""
    clock = iter([0, 4, 10, 10.005, 20, 20.001, 30, 30.003, 40, 40.004, 50, 50.002])
    monkeypatch.setattr(latency, 'time', SimpleNamespace(perf_counter=clock.__next__))
    found = measure_start(vit)
    assert found['cold'] == 4000
    assert found['warm'] == pytest.approx(dict(median=3, low=2, high=4))


def test_a_start_is_measured_without_the_weights_that_the_config_names(
    guided, built_towers
):
    measure_start(guided)
    assert built_towers == ['mcdrl-tiny-rn']


def test_a_model_without_a_dictionary_is_refused(vit):
    with pytest.raises(
        ProtocolError, match=r'same tower \+ FCNHead has no confounder dictionary'
    ):
        measure_start(against(vit, 'FCNHead'))


def test_a_start_with_a_warm_cache_loads_no_text_tower(
    repo_root, tmp_path, monkeypatch
):
    """It neither builds the tower nor loads its weights; the built-in ones are real."""
    name = 'mcdrl_clip-tiny-rn_fcn_6e_endosim-128x128.py'
    cfg = load_subject(str(repo_root / 'configs/mcdrl' / name)).cfg
    assert cfg.model.backbone.pretrained == 'builtin'
    init_default_scope('mmseg')

    def started(folder):
        model = MODELS.build(cfg.model)
        runner = SimpleNamespace(
            model=model,
            iter=0,
            logger=MMLogger.get_current_instance(),
            train_dataloader=SimpleNamespace(dataset=[]),
        )
        ConfounderDictionaryHook(cache_dir=str(tmp_path / folder)).before_train(runner)
        return model.decode_head.dictionary

    first = started('cache')

    def refuse(*_):
        raise AssertionError('a text tower is loaded')

    monkeypatch.setattr(text, 'build_text_tower', refuse)
    monkeypatch.setattr(text, 'load_tower_weights', refuse)
    with pytest.raises(AssertionError, match='a text tower is loaded'):
        started('empty')
    second = started('cache')
    assert second.is_built
    for buffer, expected in zip(second.buffers(), first.buffers()):
        assert torch.equal(buffer, expected)
