"""Words of captions, and words that are reserved for choosing and testing."""

from itertools import combinations

from mcdrl_lab.pretraining.endo_words import (
    CHOOSING_WORDS,
    CONDITION_WORDS,
    LESION_WORDS,
    NORMAL,
    POLYP,
    UNSEEN_WORDS,
    Claim,
    captions,
    other_texts,
    trained_texts,
)
from mcdrl_lab.simulation.drawn_conditions import BLOOD, CONDITIONS, WHITE_LIGHT


def words_of(listed: dict) -> set[str]:
    return {w for part in listed.values() for words in part.values() for w in words}


def test_the_three_word_lists_share_no_word():
    trained = words_of({'lesion': LESION_WORDS, 'condition': CONDITION_WORDS})
    lists = [trained, words_of(CHOOSING_WORDS), words_of(UNSEEN_WORDS)]
    assert all(not a & b for a, b in combinations(lists, 2))


def test_no_caption_contains_a_word_reserved_for_choosing_or_testing():
    texts = ' | '.join(text for lines in captions().values() for text in lines).lower()
    for word in words_of(UNSEEN_WORDS) | words_of(CHOOSING_WORDS):
        assert f' {word} ' not in f'{texts} ', word


def test_the_unseen_words_include_the_required_ones():
    named = ('haemorrhage', 'out of focus', 'dim', 'specular highlight', 'adenoma')
    assert words_of(UNSEEN_WORDS) >= {*named, 'growth'}


def test_every_condition_has_words_in_every_list():
    for listed in (CHOOSING_WORDS, UNSEEN_WORDS):
        assert set(listed['condition']) == set(range(len(CONDITIONS)))
        assert set(listed['lesion']) == {NORMAL, POLYP}
    assert all(words[0] == CONDITIONS[n] for n, words in CONDITION_WORDS.items())


def test_each_caption_is_listed_once_under_the_claim_that_it_makes():
    texts = captions()
    assert 'An endoscopy image with strong bleeding' in texts[Claim(None, BLOOD, 0.7)]
    assert 'A polyp with blood' in texts[Claim(POLYP, BLOOD)]
    assert 'Normal mucosa with blood' in texts[Claim(NORMAL, BLOOD)]
    assert Claim(None, WHITE_LIGHT, 0.7) not in texts
    flat = [text for lines in texts.values() for text in lines]
    assert len(flat) == len(set(flat)), 'a text with two meanings'


def test_trained_texts_are_captions():
    texts = captions()
    claims = [Claim(POLYP), Claim(NORMAL), *(Claim(condition=n) for n in range(12))]
    for claim in claims:
        assert set(trained_texts(claim)) <= set(texts[claim])


def test_other_words_are_put_into_the_templates_of_the_method():
    found = {word: (claim, text) for word, claim, text in other_texts(UNSEEN_WORDS)}
    assert found['haemorrhage'] == (
        Claim(condition=BLOOD),
        'An endoscopy image with haemorrhage',
    )
    assert found['adenoma'] == (Claim(POLYP), 'A adenoma in an endoscopic image')
