"""Prompts through CLIP's own text transformer."""

import pytest
import torch
from local_clips import write_added_token
from torch.testing import assert_close

from mcdrl_mmseg.clip.clip_prompt_tower import CLIPPromptTower
from mcdrl_mmseg.clip.learned_prompts import LearnedPrompts
from mcdrl_mmseg.clip.text import embed_texts, tokenize
from mcdrl_mmseg.clip.towers import CLIPSpec, build_text_tower

SPEC = CLIPSpec('mcdrl-tiny-rn')
NAMES = ['polyp', 'vocal fold lesion']


@pytest.fixture
def weights(tiny_clips, tmp_path):
    path = tmp_path / 'clip.pt'
    torch.save(tiny_clips['mcdrl-tiny-rn'].state_dict(), path)
    return str(path)


@pytest.mark.parametrize('names', [NAMES, NAMES[::-1], NAMES[:1]])
def test_a_context_given_as_words_embeds_like_the_whole_text(names):
    prompts = LearnedPrompts(SPEC, names, context='a photo of a')
    texts = [f'a photo of a {name}' for name in names]
    expected = prompts.tower(tokenize(SPEC, texts))
    assert_close(prompts(), expected, atol=1e-5, rtol=1e-5)
    assert prompts.context.shape == (4, 64)


def test_context_words_are_embedded_with_the_loaded_weights(weights):
    spec = CLIPSpec('mcdrl-tiny-rn', weights)
    prompts = LearnedPrompts(spec, NAMES, context='an endoscopic image of a')
    prompts.init_weights()
    expected = embed_texts(spec, [f'an endoscopic image of a {n}' for n in NAMES])
    found = torch.nn.functional.normalize(prompts().detach(), dim=1)
    assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    'context, name', [('a photo with <lesion>', 'polyp'), ('a photo of', 'a <lesion>')]
)
def test_an_added_token_in_context_or_class_name_is_refused(tmp_path, context, name):
    # Its number is higher than that of the end token: the context would lack it.
    spec = CLIPSpec(write_added_token(tmp_path, '<lesion>'))
    LearnedPrompts(spec, ['polyp'], context='a photo of')
    with pytest.raises(ValueError, match="<lesion>' holds a token that model_name"):
        LearnedPrompts(spec, [name], context=context)


def test_a_checkpoint_holds_the_context_and_the_text_tower_of_open_clip():
    tower = [f'tower.{key}' for key in build_text_tower(SPEC).state_dict()]
    assert list(LearnedPrompts(SPEC, NAMES).state_dict()) == ['context', *tower]


def test_the_text_tower_of_coca_is_refused():
    with (
        torch.device('meta'),
        pytest.raises(ValueError, match=r"coca_ViT-B-32.*is not CLIP's"),
    ):
        CLIPPromptTower(CLIPSpec('coca_ViT-B-32'))


def test_a_text_tower_of_transformers_is_refused():
    with pytest.raises(ValueError, match=r'tower is roberta-base.*cannot be learned'):
        CLIPPromptTower(CLIPSpec('roberta-ViT-B-32'))
