"""The normalisation that a CLIP was trained with, and its check."""

import json

import pytest
from mmseg.registry import MODELS

from mcdrl_mmseg.clip import CLIPSpec
from mcdrl_mmseg.clip.normalisation import (
    differs,
    normalisation_by_name,
    normalisation_of,
    openai_normalisation,
    preprocessor_values,
)

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5,) * 3, (0.5,) * 3)
PIXELS = ((0.0,) * 3, (1.0,) * 3)


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('ViT-B-16', openai_normalisation()),
        ('ViT-B/16', openai_normalisation()),
        ('mcdrl-tiny-rn', openai_normalisation()),
        ('ViT-B-16-SigLIP', HALF),
        ('ViT-SO400M-16-SigLIP2-384', HALF),
        ('PE-Core-B-16', HALF),
        ('MobileCLIP-S1', PIXELS),
        ('ViT-L-14-CLIPA', IMAGENET),
        ('ViT-L-14-CLIPA-336', IMAGENET),
        ('ViT-H-14-CLIPA', IMAGENET),
        ('ViT-H-14-CLIPA-336', IMAGENET),
        ('ViT-bigG-14-CLIPA', IMAGENET),
        ('ViT-bigG-14-CLIPA-336', IMAGENET),
        ('EVA02-B-16', openai_normalisation()),
        ('convnext_base', openai_normalisation()),
    ],
)
def test_an_architecture_has_the_normalisation_of_its_published_weights(name, expected):
    assert normalisation_by_name(name) == expected
    assert normalisation_of(CLIPSpec(name)) == expected


def test_a_pretrained_tag_can_differ_from_the_normalisation_of_its_architecture():
    name = 'ViT-L-14'
    assert normalisation_of(CLIPSpec(name, 'laion2b_s32b_b82k')) == HALF
    assert normalisation_of(CLIPSpec(name, 'openai')) == openai_normalisation()
    assert normalisation_by_name(name) == openai_normalisation()


def test_a_folder_has_its_own_normalisation_or_else_that_of_openai(tmp_path):
    content = dict(embed_dim=1, vision_cfg={}, text_cfg={})
    path = tmp_path / 'open_clip_config.json'
    path.write_text(json.dumps(content))
    name = f'local-dir:{tmp_path}'
    assert normalisation_by_name(name) == openai_normalisation()
    half = dict(mean=[0.5] * 3, std=[0.5] * 3)
    path.write_text(json.dumps(dict(model_cfg=content, preprocess_cfg=half)))
    assert normalisation_by_name(name) == HALF
    # open_clip takes a single number for all channels.
    half = dict(mean=0.5, std=0.5)
    path.write_text(json.dumps(dict(model_cfg=content, preprocess_cfg=half)))
    assert normalisation_by_name(name) == HALF


def test_a_processor_of_transformers_that_does_not_normalise_gives_mean_0_and_std_1(
    tmp_path,
):
    (tmp_path / 'config.json').write_text('{"model_type": "clip"}')
    processor = dict(image_mean=[0.5] * 3, image_std=[0.5] * 3, do_normalize=False)
    (tmp_path / 'preprocessor_config.json').write_text(json.dumps(processor))
    assert normalisation_by_name(f'local-dir:{tmp_path}') == PIXELS


@pytest.mark.parametrize(
    ('mean', 'std', 'expected'),
    [
        ([122.7709383, 116.7460125, 104.09373615], [68.5, 66.6, 70.3], False),
        ([122.77, 116.75, 104.09], [68.5, 66.63, 70.32], False),
        ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375], True),
        ([127.5] * 3, [127.5] * 3, True),
        ([0.0] * 3, [1.0] * 3, True),
    ],
)
def test_rounded_values_count_as_equal_and_other_values_do_not(mean, std, expected):
    assert differs(openai_normalisation(), mean, std) == expected


def test_the_values_of_a_preprocessor_are_those_that_it_applies():
    build = MODELS.build
    plain = build(dict(type='SegDataPreProcessor'))
    assert preprocessor_values(plain) == dict(mean=[0] * 3, std=[1] * 3, bgr=True)
    mean, std = [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]
    full = build(dict(type='SegDataPreProcessor', mean=mean, std=std, bgr_to_rgb=True))
    assert preprocessor_values(full) == dict(mean=mean, std=std, bgr=False)
