"""BERT's uncased tokenizer, with the vocabulary of all-MiniLM-L6-v2.

The vocabulary is part of the plug-in, so that learned prompts can be tokenized, and a
config checked, without the encoder's package.
"""

from __future__ import annotations

import gzip
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path

MAX_TOKENS = 128
"""Largest number of tokens for all-MiniLM-L6-v2, start and end token included."""

_VOCABULARY = Path(__file__).parent / 'model_weights/all-MiniLM-L6-v2.vocab.txt.gz'
_MAX_LETTERS = 100  # of a word; longer ones are unknown, as in BERT's tokenizer


class WordPieces:
    """BERT's uncased tokenizer.

    Args:
        vocabulary: Pieces in the order of their ids.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._ids = {piece: number for number, piece in enumerate(vocabulary)}

    def __len__(self) -> int:
        return len(self._ids)

    def encode(self, text: str) -> list[int]:
        """Ids of a text, between the ids of start and end token.

        Args:
            text: Any text; cut to 128 tokens.
        """
        ids = [i for word in _split_words(text) for i in self._pieces(word)]
        ids = ids[: MAX_TOKENS - 2]
        return [self._ids['[CLS]'], *ids, self._ids['[SEP]']]

    def _pieces(self, word: str) -> list[int]:
        ids, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = ('##' if start else '') + word[start:end]
                if piece in self._ids:
                    break
            else:
                return [self._ids['[UNK]']]
            ids.append(self._ids[piece])
            start = end
        return ids if len(word) <= _MAX_LETTERS else [self._ids['[UNK]']]


def _split_words(text: str) -> list[str]:
    plain = unicodedata.normalize('NFD', text.lower())
    spaced = []
    for letter in plain:
        category = unicodedata.category(letter)
        if category == 'Mn' or (category[0] == 'C' and letter not in '\t\n\r'):
            continue
        # Every ASCII punctuation mark is a word, even if Unicode classes it as symbol.
        sign = category[0] == 'P' or (letter.isascii() and category[0] == 'S')
        spaced.append(f' {letter} ' if sign or _is_chinese(letter) else letter)
    return ''.join(spaced).split()


def _is_chinese(letter: str) -> bool:
    return any(
        begin <= ord(letter) <= end
        for begin, end in ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2FA1F))
    )


@cache
def published_pieces() -> WordPieces:
    """The tokenizer of all-MiniLM-L6-v2."""
    content = gzip.decompress(_VOCABULARY.read_bytes())
    return WordPieces(content.decode('utf-8').splitlines())
