import pytest
import torch
from local_clips import write_added_token
from torch.nn import functional as F
from torch.testing import assert_close

from mcdrl_mmseg.clip.text import embed_texts, tokenize
from mcdrl_mmseg.clip.towers import CLIPSpec

SPEC = CLIPSpec('mcdrl-tiny-vit')
TEXTS = ['A polyp in an endoscopic image', 'A cyst with blur', '病变']


def test_tokens_have_the_models_length_and_end_within_it():
    tokens = tokenize(SPEC, [*TEXTS, 'long ' * 100])
    assert tokens.shape == (4, 32)
    assert tokens.dtype == torch.int64
    start, end = 49406, 49407
    assert (tokens[:, 0] == start).all()
    assert ((tokens == end).sum(dim=1) == 1).all()
    # Cut texts end with the end token too.
    assert tokens[3, -1] == end
    assert tokens[0, -1] == 0


def test_tokens_of_a_known_architecture_are_open_clips():
    import open_clip

    spec = CLIPSpec('ViT-B/16')
    assert torch.equal(tokenize(spec, TEXTS), open_clip.tokenize(TEXTS))


def test_embeddings_are_unit_vectors_of_the_joint_space():
    embeddings = embed_texts(SPEC, TEXTS)
    assert embeddings.shape == (3, 128)
    assert embeddings.dtype == torch.float32
    assert_close(embeddings.norm(dim=1), torch.ones(3))
    assert not embeddings.requires_grad


def test_random_tower_gives_the_same_embeddings_in_every_state_of_the_generator():
    torch.manual_seed(1)
    one = embed_texts(SPEC, TEXTS)
    torch.manual_seed(2)
    assert torch.equal(one, embed_texts(SPEC, TEXTS))


def test_global_random_state_is_untouched():
    torch.manual_seed(123)
    before = torch.get_rng_state()
    embed_texts(SPEC, TEXTS)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_texts_embedding_does_not_depend_on_the_others():
    together = embed_texts(SPEC, TEXTS)
    assert_close(embed_texts(SPEC, TEXTS[1:2])[0], together[1], atol=1e-5, rtol=0)
    assert not torch.allclose(together[0], together[1], atol=1e-2)


def test_loaded_tower_embeds_as_open_clip_does(tiny_clips, tmp_path):
    model = tiny_clips['mcdrl-tiny-vit']
    path = tmp_path / 'clip.pt'
    torch.save(model.state_dict(), path)
    spec = CLIPSpec('mcdrl-tiny-vit', str(path))
    with torch.no_grad():
        expected = F.normalize(model.encode_text(tokenize(spec, TEXTS)), dim=-1)
    assert_close(embed_texts(spec, TEXTS), expected, atol=1e-5, rtol=0)
    assert not torch.allclose(embed_texts(SPEC, TEXTS), expected, atol=1e-2)


def test_prompt_with_words_behind_an_added_token_is_refused(tmp_path):
    # open_clip reads it at the added token, whose number is the highest: prompts that
    # differ in what stands behind it have one embedding.
    spec = CLIPSpec(write_added_token(tmp_path, '<lesion>'))
    with pytest.raises(
        ValueError, match=r"'a <lesion> in the colon' has words after '<les"
    ):
        embed_texts(spec, ['a polyp', 'a <lesion> in the colon'])
    ended = embed_texts(
        spec, ['colon with <lesion>', 'stomach with <lesion>', 'a polyp']
    )
    assert torch.cdist(ended, ended).triu(1).count_nonzero() == 3


def test_words_behind_an_added_token_count_where_the_end_is_named(tmp_path):
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
        # "a": read there, words behind it do not count.
        (dict(pool_type='eos', eos_id=320), 320),
        # open_clip's default, which its own tokenizer never gives.
        (dict(pool_type='eos'), 2),
    ],
)
def test_an_end_that_the_tokenizer_does_not_give_is_refused(tmp_path, end, number):
    spec = CLIPSpec(write_added_token(tmp_path, '<lesion>', **end))
    told = (
        rf"eos_id={number}, but its tokenizer .* end of 'a polyp in the colon'.*"
        'the last token is 49407'
    )
    with pytest.raises(ValueError, match=told):
        embed_texts(spec, ['a polyp in the colon', 'a cyst'])


def test_an_end_that_is_not_given_is_no_fault_where_all_words_are_seen(tmp_path):
    end = dict(pool_type='eos', eos_id=49405, no_causal_mask=True)
    spec = CLIPSpec(write_added_token(tmp_path, '<lesion>', **end))
    one, other = embed_texts(spec, ['a polyp', 'a cyst'])
    assert not torch.allclose(one, other, atol=1e-2)
