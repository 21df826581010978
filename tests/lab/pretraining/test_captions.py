"""Captions are true and use the words of the prompt set."""

import numpy as np
import pytest

from mcdrl_lab.pretraining.captions import (
    HEALTHY,
    MAX_CONDITIONS,
    PROMPTS,
    Caption,
    true_of,
    write_caption,
)
from mcdrl_mmseg.clip.text import tokenize
from mcdrl_mmseg.clip.towers import CLIPSpec

BLUR, NBI, BLOOD = (
    PROMPTS.confounder_names.index(name)
    for name in ('blur', 'narrow-band imaging', 'blood')
)


def captions(lesion, conditions, count=200):
    generator = np.random.default_rng(0)
    return [
        write_caption(generator, lesion, np.array(conditions, int))
        for _ in range(count)
    ]


def test_caption_words_are_those_of_the_prompt_set_of_the_configs(repo_root):
    from mmengine.config import Config

    path = repo_root / 'configs/_base_/prompts/endoscopy.py'
    prompts = Config.fromfile(path).prompts
    assert list(PROMPTS.classes) == prompts.classes
    names = [name for family in prompts.confounders.values() for name in family]
    assert list(PROMPTS.confounder_names) == names
    assert list(PROMPTS.background_prompts) == prompts.background_prompts
    for key in ('class_template', 'confounder_template', 'class_confounder_template'):
        assert getattr(PROMPTS, key) == prompts[key]


def test_captions_use_all_three_templates():
    texts = {caption.text for caption in captions(2, [BLUR])}
    assert texts == {
        'A inflammation in an endoscopic image',
        'An endoscopy image with blur',
        'A inflammation with blur',
    }


def test_a_clean_scene_is_described_by_its_lesion_alone():
    assert {caption.text for caption in captions(0, [])} == {
        'A polyp in an endoscopic image'
    }


def test_a_healthy_scene_is_described_by_the_background_prompts():
    texts = {caption.text for caption in captions(HEALTHY, [BLOOD])}
    assert texts == {
        *PROMPTS.background_prompts,
        'An endoscopy image with blood',
        'Normal mucosa with blood',
    }


def test_every_text_names_exactly_the_conditions_of_its_caption():
    for caption in captions(1, [BLUR, NBI, BLOOD]):
        for number, name in enumerate(PROMPTS.confounder_names):
            assert (name in caption.text) == (number in caption.conditions)


def test_the_longest_caption_fits_the_tokenizer():
    spec = CLIPSpec('mcdrl-tiny-rn')
    # The most conditions that a scene can have: one of each pair of exclusive ones.
    every = [
        number
        for number, name in enumerate(PROMPTS.confounder_names)
        if name not in ('dark lighting', 'white light imaging', 'far distance')
    ]
    texts = [caption.text for caption in captions(2, every, 500)]
    assert max(text.count(' and ') for text in texts) == MAX_CONDITIONS - 1
    # A row that was cut off would end without padding.
    assert (tokenize(spec, texts)[:, -1] == 0).all()


@pytest.mark.parametrize(
    ('caption', 'expected'),
    [
        (Caption('', 0, ()), [True, False, False]),
        (Caption('', HEALTHY, ()), [False, False, True]),
        (Caption('', None, (BLUR,)), [True, False, True]),
        (Caption('', None, (BLUR, NBI)), [False, False, True]),
        (Caption('', 0, (BLUR,)), [True, False, False]),
        (Caption('', 0, (NBI,)), [False, False, False]),
    ],
)
def test_true_of_requires_everything_that_a_caption_names(caption, expected):
    lesions = np.array([0, 3, HEALTHY])
    conditions = np.zeros((3, len(PROMPTS.confounder_names)), bool)
    conditions[0, BLUR] = conditions[2, BLUR] = conditions[2, NBI] = True
    assert true_of([caption], lesions, conditions).tolist() == [expected]


def test_every_caption_is_true_of_its_own_scene():
    generator = np.random.default_rng(1)
    lesions = generator.integers(HEALTHY, 5, 100)
    conditions = generator.random((100, 12)) < 0.3
    written = [
        write_caption(generator, int(lesion), there.nonzero()[0])
        for lesion, there in zip(lesions, conditions)
    ]
    assert true_of(written, lesions, conditions).diagonal().all()
