import pytest
import torch
from local_clips import write_added_token
from torch.nn import functional as F
from torch.testing import assert_close

from mcdrl_mmseg.clip.text import embed_texts, tokenize
from mcdrl_mmseg.clip.towers import CLIPSpec

SPEC = CLIPSpec('mcdrl-tiny-vit')
TEXTS = ['A polyp in an endoscopic image', 'A cyst with blur', '病变']


def test_tokens_have_the_context_length_and_contain_one_end_token():
    tokens = tokenize(SPEC, [*TEXTS, 'long ' * 100])
    assert tokens.shape == (4, 32)
    assert tokens.dtype == torch.int64
    start, end = 49406, 49407
    assert (tokens[:, 0] == start).all()
    assert ((tokens == end).sum(dim=1) == 1).all()
    # A truncated text ends with the end token too.
    assert tokens[3, -1] == end
    assert tokens[0, -1] == 0


def test_tokens_of_a_known_architecture_equal_those_of_open_clip():
    import open_clip

    spec = CLIPSpec('ViT-B/16')
    assert torch.equal(tokenize(spec, TEXTS), open_clip.tokenize(TEXTS))


def test_embeddings_are_unit_vectors_of_the_joint_space():
    embeddings = embed_texts(SPEC, TEXTS)
    assert embeddings.shape == (3, 128)
    assert embeddings.dtype == torch.float32
    assert_close(embeddings.norm(dim=1), torch.ones(3))
    assert not embeddings.requires_grad


def test_a_random_tower_gives_the_same_embeddings_for_every_generator_state():
    torch.manual_seed(1)
    one = embed_texts(SPEC, TEXTS)
    torch.manual_seed(2)
    assert torch.equal(one, embed_texts(SPEC, TEXTS))


def test_global_random_state_is_untouched():
    torch.manual_seed(123)
    before = torch.get_rng_state()
    embed_texts(SPEC, TEXTS)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_embedding_of_a_text_does_not_depend_on_the_other_texts():
    together = embed_texts(SPEC, TEXTS)
    assert_close(embed_texts(SPEC, TEXTS[1:2])[0], together[1], atol=1e-5, rtol=0)
    assert not torch.allclose(together[0], together[1], atol=1e-2)


def test_a_loaded_tower_embeds_like_open_clip(tiny_clips, tmp_path):
    model = tiny_clips['mcdrl-tiny-vit']
    path = tmp_path / 'clip.pt'
    torch.save(model.state_dict(), path)
    spec = CLIPSpec('mcdrl-tiny-vit', str(path))
    with torch.no_grad():
        expected = F.normalize(model.encode_text(tokenize(spec, TEXTS)), dim=-1)
    assert_close(embed_texts(spec, TEXTS), expected, atol=1e-5, rtol=0)
    assert not torch.allclose(embed_texts(SPEC, TEXTS), expected, atol=1e-2)


def test_a_prompt_with_words_after_an_added_token_is_refused(tmp_path):
    # open_clip takes the embedding at the highest token number, here the added one:
    # prompts that differ only after it would have the same embedding.
    spec = CLIPSpec(write_added_token(tmp_path, '<lesion>'))
    with pytest.raises(
        ValueError, match=r"'a <lesion> in the colon' has words after '<les"
    ):
        embed_texts(spec, ['a polyp', 'a <lesion> in the colon'])
    ended = embed_texts(
        spec, ['colon with <lesion>', 'stomach with <lesion>', 'a polyp']
    )
    assert torch.cdist(ended, ended).triu(1).count_nonzero() == 3


def test_words_after_an_added_token_count_if_the_config_gives_an_eos_id(tmp_path):
    end = dict(pool_type='eos', eos_id=49407)
    spec = CLIPSpec(write_added_token(tmp_path, '<lesion>', **end))
    colon, stomach = embed_texts(
        spec, ['a <lesion> in the colon', 'a <lesion> in the stomach']
    )
    assert not torch.allclose(colon, stomach, atol=1e-2)


@pytest.mark.parametrize(
    ('end', 'number'),
    [
        (dict(pool_type='eos', eos_id=49405), 49405),
        (dict(pool_type='eos', eos_id=49406), 49406),
        # "a": read there, the words after it would not count.
        (dict(pool_type='eos', eos_id=320), 320),
        # open_clip's default, which its own tokenizer never gives.
        (dict(pool_type='eos'), 2),
    ],
)
def test_an_eos_id_that_the_tokenizer_does_not_append_is_refused(tmp_path, end, number):
    spec = CLIPSpec(write_added_token(tmp_path, '<lesion>', **end))
    told = (
        rf"eos_id={number}, but its tokenizer .* end of 'a polyp in the colon'.*"
        'the last token is 49407'
    )
    with pytest.raises(ValueError, match=told):
        embed_texts(spec, ['a polyp in the colon', 'a cyst'])


def test_a_wrong_eos_id_is_accepted_if_every_token_sees_all_words(tmp_path):
    end = dict(pool_type='eos', eos_id=49405, no_causal_mask=True)
    spec = CLIPSpec(write_added_token(tmp_path, '<lesion>', **end))
    one, other = embed_texts(spec, ['a polyp', 'a cyst'])
    assert not torch.allclose(one, other, atol=1e-2)


def test_a_prompt_longer_than_the_context_is_refused_and_not_cut():
    """Of 32 tokens two are the start and the end token."""
    assert embed_texts(SPEC, ['blur ' * 30]).shape == (1, 128)
    with pytest.raises(ValueError, match="blur ' is longer than the 32 tokens"):
        embed_texts(SPEC, ['blur ' * 31])
