import pandas as pd
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mcdrl_lab.commands import main
from mcdrl_lab.results.selection import (
    kept_lesions,
    selection_table,
    untrained_segmentor,
)
from mcdrl_mmseg import config_path
from mcdrl_mmseg.clip.text import embed_texts
from mcdrl_mmseg.models import DictionaryError

SIZE = (64, 64)


def sample(mask, **metainfo):
    shape = tuple(mask.shape)
    result = SegDataSample(gt_sem_seg=PixelData(data=mask.unsqueeze(0)))
    result.set_metainfo(dict(img_shape=SIZE, ori_shape=shape, **metainfo))
    return result


def batch(*samples):
    images = [torch.zeros(3, *SIZE, dtype=torch.uint8) for _ in samples]
    return dict(inputs=images, data_samples=list(samples))


@pytest.fixture
def model(new_model, monkeypatch):
    """A model whose CLIP gives the lesion these cosines, on a grid of 2 x 2."""
    result = new_model()
    texts = torch.eye(128)[: len(result.decode_head.dictionary.texts)]
    result.decode_head.dictionary.fill(texts, 'ab' * 32)
    cosine = torch.tensor([[0.3, 0.9], [0.6, 0.0]])
    dense = torch.zeros(128, 2, 2)
    dense[0] = cosine
    dense[-1] = (1 - cosine.square()).sqrt()

    def extract_feat(inputs):
        many = len(inputs)
        return dense.expand(many, -1, -1, -1), torch.zeros(many, 128)

    monkeypatch.setattr(result, 'extract_feat', extract_feat)
    return result


def test_kept_share_is_that_of_lesion_pixels_in_the_kept_grid_cells(model):
    # All of the upper left cell and half of the upper right one, which is kept first;
    # then follow lower left, upper left and lower right.
    mask = torch.zeros(64, 64, dtype=torch.long)
    mask[:32, :48] = 1
    kept = kept_lesions(model, [batch(sample(mask, site='a'))], (0.25, 0.5, 0.75, 1.0))
    values = kept[['0.25', '0.5', '0.75', '1.0']].iloc[0].tolist()
    assert values == pytest.approx([1 / 3, 1 / 3, 1, 1])


def test_masks_of_another_size_than_the_input_are_scored_at_their_own_size(model):
    mask = torch.zeros(32, 128, dtype=torch.long)
    mask[:16, :96] = 1
    kept = kept_lesions(model, [batch(sample(mask))], [0.5])
    assert kept['0.5'].tolist() == pytest.approx([1 / 3])


@pytest.mark.parametrize('ignored', [255, 7])
def test_ignored_pixels_are_not_lesion_and_images_without_lesion_do_not_count(
    model, ignored
):
    model.decode_head.predictor.ignore_index = ignored
    mask = torch.zeros(64, 64, dtype=torch.long)
    mask[:32, 32:] = 1
    mask[32:, 32:] = ignored
    nothing = torch.zeros_like(mask)
    names = dict(site='a', img_path='/data/a/images/x.jpg')
    kept = kept_lesions(model, [batch(sample(nothing), sample(mask, **names))], [0.25])
    assert kept.to_dict('list') == dict(
        site=['a'], image=['images/x.jpg'], **{'0.25': [1.0]}
    )
    with pytest.raises(ValueError, match="all images are labelled 'no lesion'"):
        kept_lesions(model, [batch(sample(nothing))], [0.25])


def test_table_gives_mean_share_and_wholly_kept_lesions_by_site_and_overall():
    kept = pd.DataFrame(
        dict(site=['b', 'a', 'b'], image=['x', 'y', 'z'], **{'0.5': [1.0, 0.2, 0.5]})
    )
    table = selection_table(kept)
    assert table['site'].tolist() == ['a', 'b', 'all']
    assert table['images'].tolist() == [1, 2, 3]
    assert table['kept at 0.5'].tolist() == pytest.approx([20, 75, 170 / 3])
    assert table['whole at 0.5'].tolist() == pytest.approx([0, 50, 100 / 3])
    assert selection_table(kept[kept.site == 'a'])['site'].tolist() == ['a']


def test_untrained_model_holds_the_texts_of_its_own_clip(tiny_config):
    cfg = Config.fromfile(tiny_config)
    cfg.model.backbone.pretrained = 'builtin'
    model = untrained_segmentor(cfg)
    dictionary = model.decode_head.dictionary
    texts = embed_texts(model.backbone.clip_spec, dictionary.prompts.class_texts)
    torch.testing.assert_close(dictionary.class_embeddings, texts)
    assert not model.training
    cfg.model.decode_head = cfg.model.decode_head.predictor
    with pytest.raises(ValueError, match='needs a CausalInterventionHead'):
        untrained_segmentor(cfg)


def test_backbone_without_a_clip_tower_is_named_in_the_error(tiny_config):
    cfg = Config.fromfile(tiny_config)
    cfg.model.backbone = dict(type='mmseg.ResNet', depth=18)
    with pytest.raises(DictionaryError, match='ResNet has no CLIP tower'):
        untrained_segmentor(cfg)


def test_untrained_model_of_an_mcdrl_project_has_a_built_dictionary():
    cfg = Config.fromfile(config_path('mixing/own_segformer_mcdrl.py'))
    cfg.mcdrl.clip.update(model_name='mcdrl-tiny-rn', pretrained='builtin')
    head = untrained_segmentor(cfg).decode_head
    assert head.dictionary.is_built
    assert list(head.dictionary.prompts.classes) == ['polyp']


@pytest.fixture
def selected(tmp_path, tiny_config, monkeypatch):
    """Runs the command, with nothing measured; writes ``kept.csv``."""
    kept = pd.DataFrame(dict(site=['a'], image=['x'], **{'0.5': [1.0]}))
    place = 'mcdrl_lab.results.selection'
    monkeypatch.setattr(f'{place}.kept_lesions', lambda *_: kept)
    monkeypatch.setattr(f'{place}.untrained_segmentor', lambda *_: None)
    monkeypatch.setattr('mcdrl_mmseg.apis.load_segmentor', lambda *_: None)

    def run(*words):
        out = ['--out', str(tmp_path / 'kept.csv')]
        return main(['selection', str(tiny_config), *words, *out])

    return run


def test_a_table_is_updated_but_one_of_other_settings_only_on_request(
    selected, tmp_path, capsys
):
    assert [selected() for _ in range(2)] == [0, 0]
    shown = capsys.readouterr().out
    assert 'kept at R: lesion area (%) within the kept share R of positions' in shown
    assert 'whole at R: images (%) with 90 % or more of it there' in shown
    assert selected('--loaders', 'train', 'val') == 0
    for words in (
        ['--loaders', 'train'],
        [str(tmp_path / 'best.pth'), '--loaders', 'train', 'val'],
        ['--loaders', 'train', 'val', '--cfg-options', 'model.neck=3'],
    ):
        assert selected(*words) == 2
        assert 'kept.csv was made with ' in capsys.readouterr().err
    assert selected('--loaders', 'train', '--overwrite') == 0


def test_a_table_of_another_data_root_is_replaced_only_on_request(
    selected, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv('MCDRL_DATA_ROOT', str(tmp_path / 'a'))
    assert [selected() for _ in range(2)] == [0, 0]
    monkeypatch.setenv('MCDRL_DATA_ROOT', str(tmp_path / 'b'))
    assert selected() == 2
    assert f'kept.csv was made with {tmp_path / "a"}. Choose' in capsys.readouterr().err
    assert selected('--overwrite') == 0


def test_a_file_not_written_by_selection_is_left_alone(selected, tmp_path, capsys):
    (tmp_path / 'kept.csv').write_text('mine')
    assert selected('--overwrite') == 2
    assert 'kept.csv, not written here' in capsys.readouterr().err
    assert (tmp_path / 'kept.csv').read_text() == 'mine'
