"""Any prompt set is either usable throughout or refused by name."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from mcdrl_mmseg.clip import CLIPSpec
from mcdrl_mmseg.clip.text import tokenize
from mcdrl_mmseg.prompts import PromptError, PromptSet

# Every character: of all scripts, control characters, lone surrogates.
ANY_TEXT = st.text(max_size=30)
TEXT = st.one_of(
    ANY_TEXT,
    st.sampled_from(
        [
            *('{', '}', '{}', '{{', '{class', '{class!r}', '{class:>9}', '{0}'),
            *('{domain.x}', '\x00', '\u202e', '\ud800', '\n', '🩺', 'é' * 300),
        ]
    ),
)
TEMPLATE = st.builds(
    '{}{}{}{}'.format, TEXT, st.sampled_from(['{class}', '{domain}', '']), TEXT, TEXT
)
ODD = st.one_of(st.none(), st.integers(), st.floats(), st.booleans(), TEXT)
NAMES = st.one_of(st.lists(TEXT, max_size=4), st.lists(ODD, max_size=2), ODD)
PROMPTS = st.fixed_dictionaries(
    {
        'classes': NAMES,
        'confounders': st.one_of(st.dictionaries(ODD, NAMES, max_size=3), NAMES),
    },
    optional={
        'background_prompts': NAMES,
        'class_template': st.one_of(TEMPLATE, ODD),
        'confounder_template': st.one_of(TEMPLATE, ODD),
        'class_confounder_template': st.one_of(TEMPLATE, ODD),
        'classess': NAMES,
    },
)
FUZZ = settings(max_examples=150, deadline=None, derandomize=True)
KEYS = 'classes', 'confounders', 'background_prompts', 'template', 'unknown keys'


def use(prompts: PromptSet) -> None:
    """Do all that a training does with prompts."""
    texts = [
        *prompts.class_texts,
        *prompts.confounder_texts,
        *prompts.class_confounder_texts,
        *prompts.background_prompts,
        *prompts.shuffled(0).confounder_texts,
    ]
    classes, conditions = len(prompts.classes), len(prompts.confounder_names)
    extra = len(prompts.background_prompts)
    assert len(texts) == classes + (2 + classes) * conditions + extra
    assert tokenize(CLIPSpec('mcdrl-tiny-rn'), texts).shape == (len(texts), 32)
    assert len(prompts.fingerprint()) == 64
    assert PromptSet.from_cfg(prompts.to_dict()) == prompts


@pytest.mark.reliability('bad input', 'fuzz: prompts of any text, type and length')
@FUZZ
@given(PROMPTS)
def test_any_entries_are_used_or_refused_by_their_key(cfg):
    try:
        prompts = PromptSet.from_cfg(cfg)
    except PromptError as error:
        assert any(key in str(error) for key in KEYS)
    else:
        use(prompts)


@FUZZ
@given(st.lists(TEXT, min_size=1, max_size=4), TEXT, TEXT)
def test_any_words_in_valid_places_are_used_or_refused(names, before, after):
    cfg = dict(
        classes=names,
        confounders={'all': names},
        class_template=f'{before}{{class}}{after}',
    )
    try:
        prompts = PromptSet.from_cfg(cfg)
    except PromptError as error:
        assert 'prompts.' in str(error)
    else:
        use(prompts)


@FUZZ
@given(st.one_of(ODD, st.lists(ODD, max_size=2), st.dictionaries(ODD, ODD, max_size=3)))
def test_anything_that_is_not_a_prompt_config_is_refused(cfg):
    with pytest.raises(PromptError, match='prompts'):
        PromptSet.from_cfg(cfg)
