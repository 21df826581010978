import copy

import pytest
from mmengine.config import Config

from mcdrl_mmseg.prompts import PromptError, PromptSet


def cfg(**changes) -> dict:
    return {
        'classes': ['polyp', 'cyst'],
        'confounders': {'light': ['glare', 'dark'], 'view': ['blur']},
        'background_prompts': ['Normal mucosa'],
        **changes,
    }


@pytest.fixture(scope='module')
def endoscopy(repo_root) -> PromptSet:
    path = repo_root / 'configs/_base_/prompts/endoscopy.py'
    return PromptSet.from_cfg(Config.fromfile(path).prompts)


def test_the_endoscopy_config_has_the_twelve_confounders_of_the_paper_in_order(
    endoscopy,
):
    assert endoscopy.confounder_texts == [
        'An endoscopy image with blur',
        'An endoscopy image with artifacts',
        'An endoscopy image with bright lighting',
        'An endoscopy image with dark lighting',
        'An endoscopy image with uneven lighting',
        'An endoscopy image with narrow-band imaging',
        'An endoscopy image with white light imaging',
        'An endoscopy image with near distance',
        'An endoscopy image with far distance',
        'An endoscopy image with mucus',
        'An endoscopy image with blood',
        'An endoscopy image with reflection',
    ]
    assert [len(names) for names in endoscopy.confounders.values()] == [2, 3, 2, 2, 3]


def test_the_endoscopy_config_has_the_lesion_types_of_the_paper(endoscopy):
    assert endoscopy.class_texts == [
        'A polyp in an endoscopic image',
        'A tumour in an endoscopic image',
        'A inflammation in an endoscopic image',
        'A nodule in an endoscopic image',
        'A cyst in an endoscopic image',
    ]


def test_texts_of_pairs_are_ordered_by_class_and_then_by_confounder():
    assert PromptSet.from_cfg(cfg()).class_confounder_texts == [
        'A polyp with glare',
        'A polyp with dark',
        'A polyp with blur',
        'A cyst with glare',
        'A cyst with dark',
        'A cyst with blur',
    ]


def test_literal_braces_and_unicode_in_prompts_are_kept():
    prompts = PromptSet(
        classes=('Läsion', '病变'),
        confounders={'größe': ('nähe {x}',)},
        class_template='{{eine}} {class}',
        confounder_template='{domain} → Bild',
        class_confounder_template='{domain}/{class}',
    )
    assert prompts.class_texts == ['{eine} Läsion', '{eine} 病变']
    assert prompts.confounder_texts == ['nähe {x} → Bild']
    assert prompts.class_confounder_texts == ['nähe {x}/Läsion', 'nähe {x}/病变']
    assert prompts.shuffled(0).confounder_names != prompts.confounder_names


def test_background_prompts_can_be_left_out():
    values = cfg()
    del values['background_prompts']
    assert PromptSet.from_cfg(values).background_prompts == ()


def test_from_cfg_returns_a_prompt_set_unchanged():
    prompts = PromptSet.from_cfg(cfg())
    assert PromptSet.from_cfg(prompts) is prompts


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'classes': []}, r'prompts\.classes is empty'),
        ({'classes': ['polyp', ' ']}, r'prompts\.classes holds an empty prompt'),
        ({'classes': ['polyp', 'Polyp ']}, r"prompts\.classes lists 'Polyp ' twice"),
        ({'classes': 'polyp'}, r"prompts\.classes='polyp' must be a list"),
        ({'classes': ['polyp', 3]}, r'prompts\.classes.* must be a list of strings'),
        ({'classes': None}, r'prompts\.classes=None must be a list of strings'),
        ({'confounders': {}}, r'prompts\.confounders is empty'),
        ({'confounders': {'light': []}}, r'prompts\.confounders is empty'),
        ({'confounders': ['blur']}, r'prompts\.confounders must map family names'),
        ({'confounders': {'light': 'dark'}}, r"confounders\['light'\]='dark' must be"),
        ({'confounders': {'light': ['']}}, r"confounders\['light'\] holds an empty"),
        (
            {'confounders': {'light': ['dark'], 'view': ['dark']}},
            r"prompts\.confounders lists 'dark' twice",
        ),
        (
            {'confounders': {'light': ['far  away', 'far away']}},
            r"lists 'far away' twice",
        ),
        ({'background_prompts': ['']}, r'background_prompts holds an empty prompt'),
        ({'class_template': 'A lesion'}, r'class_template.*field \{class\}.*none'),
        (
            {'class_template': 'A {class} {x}'},
            r"class_template.*found \['class', 'x'\]",
        ),
        ({'class_template': 'A {}'}, r'class_template'),
        ({'class_template': 'A {class'}, r'class_template.*not a valid template'),
        ({'class_template': 'A {class.upper}'}, r'class_template'),
        ({'class_template': 'A {class:{domain}}'}, r'class_template'),
        ({'class_template': 'A {class:d}'}, r'class_template'),
        ({'class_template': 'A {class!r}'}, r'class_template'),
        ({'class_template': None}, r'class_template=None must be a string'),
        ({'confounder_template': 'An image'}, r'confounder_template.*\{domain\}'),
        (
            {'class_confounder_template': 'A {class}'},
            r"class_confounder_template.*\{class\} and \{domain\}, found \['class'\]",
        ),
        ({'clases': ['polyp']}, r"unknown keys \['clases'\]"),
        ({'_names': ['x']}, r"unknown keys \['_names'\]"),
    ],
)
def test_an_unusable_set_is_an_error_that_names_key_and_value(changes, message):
    with pytest.raises(PromptError, match=message):
        PromptSet.from_cfg(cfg(**changes))


@pytest.mark.parametrize('key', ['classes', 'confounders'])
def test_a_missing_key_is_an_error_that_names_it(key):
    values = cfg()
    del values[key]
    with pytest.raises(PromptError, match=rf"lacks the keys \['{key}'\]"):
        PromptSet.from_cfg(values)


def test_the_fingerprint_does_not_depend_on_the_order_of_keys():
    values = cfg(class_template='One {class}')
    turned = dict(reversed(values.items()))
    assert list(turned) != list(values)
    one, other = PromptSet.from_cfg(values), PromptSet.from_cfg(turned)
    assert one.fingerprint(tower='a', weights='b') == other.fingerprint(
        weights='b', tower='a'
    )


def test_the_fingerprint_has_64_hexadecimal_digits():
    fingerprint = PromptSet.from_cfg(cfg()).fingerprint()
    assert len(bytes.fromhex(fingerprint)) == 32


@pytest.mark.parametrize(
    'changes',
    [
        {'classes': ['polyp', 'cysts']},
        {'classes': ['cyst', 'polyp']},
        {'confounders': {'light': ['glare', 'dark'], 'view': ['blurs']}},
        # Another order of families is another order of the dictionary's rows.
        {'confounders': {'view': ['blur'], 'light': ['glare', 'dark']}},
        {'background_prompts': []},
        {'background_prompts': ['normal mucosa']},
        {'class_template': 'a {class}'},
        {'confounder_template': 'with {domain}'},
        {'class_confounder_template': '{class}, {domain}'},
    ],
)
def test_the_fingerprint_changes_with_every_text(changes):
    plain = PromptSet.from_cfg(cfg()).fingerprint(tower='a')
    assert PromptSet.from_cfg(cfg(**changes)).fingerprint(tower='a') != plain


@pytest.mark.parametrize('sources', [{}, {'tower': 'b'}, {'rewot': 'a'}])
def test_the_fingerprint_changes_with_every_source(sources):
    prompts = PromptSet.from_cfg(cfg())
    assert prompts.fingerprint(**sources) != prompts.fingerprint(tower='a')


def test_the_shuffled_control_changes_only_the_order_of_letters_of_confounders(
    endoscopy,
):
    shuffled = endoscopy.shuffled(seed=0)
    assert shuffled.class_texts == endoscopy.class_texts
    assert shuffled.background_prompts == endoscopy.background_prompts
    assert list(shuffled.confounders) == list(endoscopy.confounders)
    pairs = list(zip(endoscopy.confounder_names, shuffled.confounder_names))
    assert len(pairs) == 12
    for name, word in pairs:
        assert word != name
        assert sorted(word) == sorted(name.replace(' ', ''))


def test_the_shuffled_control_depends_on_its_seed(endoscopy):
    names = [endoscopy.shuffled(seed).confounder_names for seed in (0, 0, 1)]
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize('seed', range(20))
def test_short_names_are_shuffled_to_distinct_other_names(seed):
    prompts = PromptSet.from_cfg(
        cfg(confounders={'f': ['ab', 'BA c', 'cab', 'aa', 'a']})
    )
    before = copy.deepcopy(prompts.to_dict())
    names = prompts.shuffled(seed).confounder_names
    assert names[0] == 'ba'
    assert len({name.lower() for name in names}) == 5
    assert prompts.to_dict() == before


def test_to_dict_builds_the_same_set_again():
    prompts = PromptSet.from_cfg(cfg())
    assert PromptSet.from_cfg(prompts.to_dict()) == prompts


def of_classes(*classes: str) -> PromptSet:
    return PromptSet(classes, {'lighting': ('bright light',)})


def test_as_many_labels_as_prompts_match_by_position_whatever_their_words():
    assert (
        of_classes('a polyp', 'a cyst').label_mismatch(['Polyp', 'Cyst'], ['x']) is None
    )


def test_the_same_words_in_another_order_are_a_mismatch():
    text = of_classes('cyst', 'polyp').label_mismatch(['polyp', 'cyst'], [])
    assert 'Write prompts.classes in the order of the labels' in text


def test_one_label_for_all_lesions_needs_a_prompt_for_each():
    prompts = of_classes('polyp', 'cyst')
    assert prompts.label_mismatch(['lesion'], ['polyp']) is None
    text = prompts.label_mismatch(['lesion'], ['polyp', 'tumour'])
    assert "['tumour'] that have no prompt" in text
