"""The weights file: small, complete, and sufficient for all shipped prompts."""

import json

import pytest
import torch
from mmengine.config import Config
from torch.testing import assert_close

from mcdrl_lab.pretraining.endo_model import EndoCLIP
from mcdrl_lab.pretraining.endo_trainer import TEXT_TOWERS, EndoSettings
from mcdrl_lab.pretraining.endo_weights import (
    PROMPT_FILES,
    left_out,
    save_endo_weights,
    shipped_texts,
)
from mcdrl_mmseg.clip import (
    CLIPSpec,
    build_image_tower,
    embed_texts,
    load_tower_weights,
    sentence_text,
)
from mcdrl_mmseg.clip.builtin import BUILTIN, builtin_weights
from mcdrl_mmseg.clip.sentence_encoder import SentenceEncoderError
from mcdrl_mmseg.clip.sentence_text import read_text_side
from mcdrl_mmseg.clip.text import tokenize
from mcdrl_mmseg.prompts import PromptSet

NAME = 'mcdrl-endo-lite0'


@pytest.fixture
def prompt_sets(repo_root) -> list[PromptSet]:
    folder = repo_root / 'configs/_base_/prompts'
    return [
        PromptSet.from_cfg(Config.fromfile(folder / n).prompts) for n in PROMPT_FILES
    ]


@pytest.fixture
def no_encoder(monkeypatch):
    def missing(texts):
        raise SentenceEncoderError('not installed.')

    monkeypatch.setattr(sentence_text, 'encode_sentences', missing)
    monkeypatch.setattr(sentence_text, 'encoder_folder', lambda: None)


def needed(prompts: PromptSet) -> list[str]:
    return [
        *prompts.class_texts,
        *prompts.confounder_texts,
        *prompts.class_confounder_texts,
        *prompts.background_prompts,
    ]


def test_shipped_texts_contain_all_prompts_their_controls_and_the_test_words(
    prompt_sets,
):
    texts = set(shipped_texts(prompt_sets))
    for prompts in prompt_sets:
        assert set(needed(prompts)) <= texts
        assert set(prompts.shuffled(0).confounder_texts) <= texts
    assert 'An endoscopy image with haemorrhage' in texts
    assert 'A polyp with haemorrhage' in texts


@torch.no_grad()
def test_a_saved_model_is_read_back_without_the_sentence_encoder(
    prompt_sets, toy_sentences, tmp_path, no_encoder
):
    torch.manual_seed(0)
    model, path = EndoCLIP(NAME).eval(), tmp_path / 'weights.safetensors'
    save_endo_weights(model, EndoSettings(), prompt_sets, path, toy_sentences)
    spec = CLIPSpec(NAME, str(path))
    tower = build_image_tower(spec)
    load_tower_weights(tower, spec, 'visual.')
    images = torch.randn(1, 3, 64, 64)
    expected = model.encode(images).image_embedding.flatten(1)
    assert_close(tower.eval()(images), expected, rtol=2e-2, atol=2e-2)
    texts = needed(prompt_sets[0])
    expected = model.encode_texts(toy_sentences(texts))
    assert_close(embed_texts(spec, texts), expected, rtol=0, atol=5e-3)


@torch.no_grad()
def test_a_saved_control_is_read_back_with_its_text_tower(prompt_sets, tmp_path):
    torch.manual_seed(0)
    settings = EndoSettings(TEXT_TOWERS['transformer'])
    model, path = EndoCLIP(settings.model_name).eval(), tmp_path / 'weights.safetensors'

    def no_sentences(texts):
        raise AssertionError('the control has no sentence vectors')

    save_endo_weights(model, settings, prompt_sets, path, no_sentences)
    spec, texts = CLIPSpec(settings.model_name, str(path)), ['blur', 'A polyp']
    expected = model.encode_texts(tokenize(spec, texts))
    assert_close(embed_texts(spec, texts), expected, rtol=0, atol=5e-3)


def test_weights_record_which_data_sets_their_training_left_out(
    prompt_sets, toy_sentences, tmp_path
):
    path, settings = tmp_path / 'weights.safetensors', EndoSettings(without='a,b')
    save_endo_weights(EndoCLIP(NAME), settings, prompt_sets, path, toy_sentences)
    assert left_out(path) == ('a', 'b')
    assert left_out(builtin_weights(NAME)) == ()


@pytest.mark.parametrize(('name', 'steps'), [(NAME, 320), (f'{NAME}-v2', 1280)])
class TestBuiltin:
    def test_the_builtin_weights_are_small_and_their_card_names_the_hash(
        self, name, steps
    ):
        import hashlib

        path = builtin_weights(name)
        assert path.stat().st_size <= 16 * 2**20
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert digest in path.with_suffix('.md').read_text()

    def test_the_builtin_weights_contain_all_prompts_of_the_endoscopy_configs(
        self, prompt_sets, no_encoder, name, steps
    ):
        spec = CLIPSpec(name, BUILTIN)
        for prompts in prompt_sets:
            rows = embed_texts(spec, needed(prompts))
            assert_close(rows.norm(dim=1), torch.ones(len(rows)))

    def test_the_builtin_weights_record_the_settings_of_their_training(
        self, name, steps
    ):
        from safetensors import safe_open

        with safe_open(builtin_weights(name), framework='pt') as file:
            settings = json.loads(file.metadata()['settings'])
        assert (settings['model_name'], settings['steps']) == (NAME, steps)
        projection, known = read_text_side(builtin_weights(name))
        assert projection.shape == (256, 384) and len(known) > 100

    def test_polyp_is_nearer_to_adenoma_than_to_healthy_mucosa(
        self, no_encoder, name, steps
    ):
        spec = CLIPSpec(name, BUILTIN)
        polyp, adenoma, normal = embed_texts(
            spec,
            [
                'A polyp in an endoscopic image',
                'A adenoma in an endoscopic image',
                'Normal mucosa in an endoscopic image',
            ],
        )
        assert polyp @ adenoma > polyp @ normal
