from types import SimpleNamespace
from unittest.mock import MagicMock

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook

from mcdrl_common.site_reference import META_KEY, MIN_IMAGES, SiteReference
from mcdrl_mmseg.engine.hooks import SiteReferenceHook
from mcdrl_mmseg.models.image_conditions import image_conditions

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(64, 64)),
    dict(type='PackSegInputs'),
]


class Data:
    """Twelve noise images of site a, the first of them twice, and eleven of site b."""

    def __init__(self, folder) -> None:
        rng = np.random.default_rng(0)
        self.infos = []
        for site, count in (('a', 12), ('b', 11)):
            for number in range(count):
                path = str(folder / f'{site}{number}.png')
                cv2.imwrite(path, rng.integers(0, 256, (20, 30, 3), np.uint8))
                info = dict(img_path=path, site=site, reduce_zero_label=False)
                self.infos.append(dict(**info, seg_fields=[], label_map=None))
        self.infos.append(self.infos[0])
        self.read = []

    def __len__(self) -> int:
        return len(self.infos)

    def get_data_info(self, index) -> dict:
        self.read.append(index)
        return dict(self.infos[index])


@pytest.fixture
def runner(tmp_path, new_model):
    model = new_model()
    return SimpleNamespace(
        model=model.train(),
        iter=10,
        hooks=[],
        cfg=Config(dict(test_pipeline=PIPELINE)),
        logger=MagicMock(),
        train_dataloader=SimpleNamespace(dataset=Data(tmp_path)),
    )


def saved(hook, runner) -> dict:
    checkpoint = dict(meta={}, state_dict={})
    hook.before_save_checkpoint(runner, checkpoint)
    return checkpoint['meta']


def reference_of(meta) -> SiteReference:
    return SiteReference.from_text(meta[META_KEY], 'x.pth')


def test_the_statistics_count_each_training_image_once(runner):
    reference = reference_of(saved(SiteReferenceHook(), runner))
    dictionary = runner.model.decode_head.dictionary
    assert reference.conditions == dictionary.prompts.confounder_names
    assert reference.sites == ('a', 'b')
    assert reference.counts.tolist() == [12, 11]
    assert reference.fingerprint == dictionary.stored_fingerprint
    model = runner.model.eval()
    scores = []
    for info in runner.train_dataloader.dataset.infos[12:23]:
        image = cv2.resize(cv2.imread(info['img_path']), (64, 64))
        data = dict(inputs=[torch.from_numpy(image.transpose(2, 0, 1).copy())])
        inputs = model.data_preprocessor(data, training=False)['inputs']
        scores.append(image_conditions(model, inputs).scores[0].numpy())
    expected = np.mean(scores, axis=0)
    assert reference.means[1] == pytest.approx(expected, abs=1e-4)


def test_masks_are_not_read(runner):
    runner.cfg.test_pipeline.insert(1, dict(type='LoadLesionMask'))
    expected = saved(SiteReferenceHook(), runner)
    for info in runner.train_dataloader.dataset.infos:
        info.update(seg_map_path='/nowhere/mask.png', mask_format=None)
    assert saved(SiteReferenceHook(), runner) == expected != {}


def test_images_per_site_limits_the_images_of_each_site(runner):
    hook = SiteReferenceHook(images_per_site=MIN_IMAGES)
    assert reference_of(saved(hook, runner)).counts.tolist() == [10, 10]


def test_the_hook_changes_neither_model_nor_random_states(runner):
    torch.manual_seed(5)
    np.random.seed(5)
    before = {k: v.clone() for k, v in runner.model.state_dict().items()}
    expected = torch.rand(1, generator=torch.Generator().manual_seed(5))
    saved(SiteReferenceHook(), runner)
    assert runner.model.training
    assert torch.equal(torch.rand(1), expected)
    assert np.random.rand() == np.random.RandomState(5).rand()
    after = runner.model.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_the_statistics_are_computed_with_the_averaged_weights_that_are_saved(runner):
    model, average = runner.model, EMAHook()
    average.before_run(runner)
    plain = saved(SiteReferenceHook(), runner)
    with torch.no_grad():
        for weight in average.ema_model.module.backbone.parameters():
            weight.mul_(1.5)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    runner.hooks = [average]
    averaged = saved(SiteReferenceHook(), runner)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    # The same as for a model that is loaded from the checkpoint.
    model.load_state_dict(average.ema_model.module.state_dict())
    runner.hooks = []
    assert averaged == saved(SiteReferenceHook(), runner) != plain


def test_a_frozen_tower_is_run_once_and_a_trained_one_at_each_new_step(runner):
    backbone = runner.model.backbone
    data = runner.train_dataloader.dataset
    for trained, reads in ((False, 1), (True, 2)):
        backbone.requires_grad_(trained)
        hook, data.read = SiteReferenceHook(), []
        first = saved(hook, runner)
        once = len(data.read)
        assert saved(hook, runner) == first
        runner.iter += 1
        assert META_KEY in saved(hook, runner)
        assert len(data.read) == reads * once


@pytest.mark.parametrize(
    ('spoil', 'reason'),
    [
        (lambda r: r.cfg.pop('test_pipeline'), 'has no test_pipeline'),
        (lambda r: r.train_dataloader.dataset.infos.clear(), 'no training site has 10'),
        (lambda r: setattr(r.model, 'decode_head', None), 'no CLIP tower with a dict'),
        (
            lambda r: setattr(r.model.decode_head.dictionary, 'source', 'random'),
            "source='random'",
        ),
        (
            lambda r: r.model.decode_head.dictionary.confounder_embeddings.fill_(
                float('nan')
            ),
            'NaN or infinite',
        ),
    ],
)
def test_a_checkpoint_is_saved_without_statistics_and_the_log_gives_the_reason(
    runner, spoil, reason
):
    spoil(runner)
    assert saved(SiteReferenceHook(), runner) == {}
    (message,) = runner.logger.warning.call_args.args
    assert reason in message
    assert 'python -m mcdrl_lab site-reference CONFIG CHECKPOINT' in message


def test_too_small_an_images_per_site_is_refused():
    with pytest.raises(ValueError, match='images_per_site=9 must be at least 10'):
        SiteReferenceHook(images_per_site=9)
