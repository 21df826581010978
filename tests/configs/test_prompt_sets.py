import pytest
from mmengine.config import Config

from mcdrl_mmseg.clip.text import tokenize
from mcdrl_mmseg.clip.towers import CLIPSpec
from mcdrl_mmseg.prompts import PromptSet

# Prompt set -> a word that every text of the modality contains.
MODALITIES = {
    'endoscopy': 'endoscop',
    'endoscopy_sites': 'endoscop',
    'fundus': 'fundus',
    'fundus_vessels': 'fundus',
    'dermoscopy': 'dermoscopic',
    'ultrasound': 'ultrasound',
    'chest_xray': 'chest X-ray',
    'ct': 'CT slice',
    'mri': 'MRI slice',
}


def test_every_prompt_set_is_tested(repo_root):
    files = (repo_root / 'configs/_base_/prompts').glob('*.py')
    assert {file.stem for file in files} == set(MODALITIES)


@pytest.fixture(params=MODALITIES)
def named(request, repo_root):
    path = repo_root / f'configs/_base_/prompts/{request.param}.py'
    return request.param, PromptSet.from_cfg(Config.fromfile(path).prompts)


def test_every_text_names_the_modality(named):
    name, prompts = named
    for text in (*prompts.class_texts, *prompts.confounder_texts):
        assert MODALITIES[name] in text


def test_conditions_form_families_several_of_which_have_alternatives(named):
    _, prompts = named
    assert len(prompts.confounders) >= 5
    assert 10 <= len(prompts.confounder_names) <= 16
    assert sum(len(family) > 1 for family in prompts.confounders.values()) >= 3


def test_background_prompts_name_no_lesion(named):
    _, prompts = named
    assert prompts.background_prompts
    for text in prompts.background_prompts:
        assert not any(name in text for name in prompts.classes)


@pytest.mark.parametrize('model_name', ['ViT-B-16', 'mcdrl-tiny-rn'])
def test_no_text_is_truncated_by_the_tokenizer(named, model_name):
    _, prompts = named
    texts = [
        *prompts.class_texts,
        *prompts.confounder_texts,
        *prompts.class_confounder_texts,
        *prompts.background_prompts,
    ]
    # A truncated text fills the context; its end token is the last one.
    assert (tokenize(CLIPSpec(model_name), texts)[:, -1] == 0).all()


def test_the_prompt_set_of_the_paper_has_twelve_conditions_and_five_lesions(repo_root):
    path = repo_root / 'configs/_base_/prompts/endoscopy.py'
    prompts = PromptSet.from_cfg(Config.fromfile(path).prompts)
    assert len(prompts.confounder_names) == 12
    assert len(prompts.classes) == 5
