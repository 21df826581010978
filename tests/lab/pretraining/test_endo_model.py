"""The model before training: ImageNet's weights under CLIP's normalisation."""

import pytest
import torch
from torch.testing import assert_close

from mcdrl_lab.pretraining.endo_model import EndoCLIP, load_imagenet
from mcdrl_lab.pretraining.endo_trainer import TEXT_TOWERS
from mcdrl_lab.pretraining.endo_words import (
    CHOOSING_WORDS,
    UNSEEN_WORDS,
    captions,
    other_texts,
)
from mcdrl_lab.pretraining.training_loop import PretrainingError
from mcdrl_mmseg.clip import CLIPSpec, build_image_tower
from mcdrl_mmseg.clip.text import tokenize

NAME = 'mcdrl-endo-lite0'
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope='module', autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@torch.no_grad()
def test_imagenet_weights_are_adapted_to_clips_normalisation(toy_imagenet):
    from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    pixels = torch.rand(1, 3, 320, 320, generator=torch.Generator().manual_seed(0))

    def normalised(mean, std):
        mean, std = torch.tensor(mean).view(1, 3, 1, 1), torch.tensor(std)
        return (pixels - mean) / std.view(1, 3, 1, 1)

    plain = build_image_tower(CLIPSpec(NAME)).eval()
    values = list(torch.load(toy_imagenet, weights_only=True).values())[:-2]
    plain.trunk.load_state_dict(dict(zip(plain.trunk.state_dict(), values)))
    folded = build_image_tower(CLIPSpec(NAME)).eval()
    load_imagenet(folded, toy_imagenet)
    stems = [
        tower.trunk.bn1(tower.trunk.conv_stem(images))
        for tower, images in (
            (plain, normalised(*IMAGENET)),
            (folded, normalised(OPENAI_DATASET_MEAN, OPENAI_DATASET_STD)),
        )
    ]
    # At the right and bottom border, zero padding means another colour.
    inside = [stem[..., :-1, :-1] for stem in stems]
    assert_close(*inside, rtol=1e-4, atol=1e-5)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / 'other.pth'
    torch.save({'a': torch.zeros(3), 'b': torch.zeros(1), 'c': torch.zeros(1)}, path)
    model = EndoCLIP(NAME)
    with pytest.raises(PretrainingError, match='It is not efficientnet-lite0'):
        load_imagenet(model.visual, path)


def test_frozen_blocks_need_no_gradient_and_batch_norm_stays_in_evaluation():
    model = EndoCLIP(NAME, frozen_blocks=3).train()
    trunk = model.visual.trunk
    frozen = [trunk.conv_stem, trunk.bn1, *trunk.blocks[:3]]
    assert not any(p.requires_grad for m in frozen for p in m.parameters())
    assert all(p.requires_grad for p in trunk.blocks[3:].parameters())
    assert not any(module.training for module in trunk.modules())
    assert all(p.requires_grad for p in EndoCLIP(NAME, -1).parameters())


@torch.no_grad()
def test_text_embeddings_are_normalised_projections_of_sentence_vectors():
    model = EndoCLIP(NAME)
    sentences = torch.randn(3, 384)
    found = model.encode_texts(sentences)
    expected = sentences @ model.text.proj.weight.T
    assert_close(found, expected / expected.norm(dim=1, keepdim=True))
    # An orthogonal initialisation keeps similar sentences similar.
    rows = model.text.proj.weight @ model.text.proj.weight.T
    assert_close(rows, torch.eye(256), atol=1e-4, rtol=0)


@torch.no_grad()
def test_the_control_has_a_text_tower_that_takes_token_ids():
    spec = CLIPSpec(TEXT_TOWERS['transformer'])
    model, ids = EndoCLIP(spec.model_name), tokenize(spec, ['blur', 'a polyp'])
    found = model.encode_texts(ids)
    assert found.shape == (2, 256)
    expected = model.text(ids)
    assert_close(found, expected / expected.norm(dim=1, keepdim=True))
    shipped = EndoCLIP(NAME).visual.state_dict()
    assert {k: v.shape for k, v in model.visual.state_dict().items()} == {
        k: v.shape for k, v in shipped.items()
    }


def test_no_text_is_longer_than_the_controls_context():
    texts = [text for lines in captions().values() for text in lines]
    for words in (CHOOSING_WORDS, UNSEEN_WORDS):
        texts += [text for *_, text in other_texts(words)]
    ids = tokenize(CLIPSpec(TEXT_TOWERS['transformer']), texts)
    # Every text ends with padding: none was cut.
    assert not ids[:, -1].any()
