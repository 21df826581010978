import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from mcdrl_common.site_reference import META_KEY, SiteReferenceError, site_reference
from mcdrl_mmseg.apis.checkpoint import load_segmentor
from mcdrl_mmseg.apis.image_flags import ImageChecker, image_flags, site_reference_of
from mcdrl_mmseg.apis.inferencer import MCDRLInferencer
from mcdrl_mmseg.apis.prediction import predict_files
from mcdrl_mmseg.models import DictionaryError


@pytest.fixture
def model(new_model):
    return new_model()


def statistics(model, **changes):
    """Statistics of 40 random images; scores of each condition run from -1 to 1."""
    dictionary = model.decode_head.dictionary
    names = dictionary.prompts.confounder_names
    rng = np.random.default_rng(0)
    scores = np.linspace(-1, 1, 40)[:, None].repeat(len(names), axis=1)
    embeddings = rng.normal(size=(40, 128))
    reference = site_reference(
        scores, embeddings, ['a'] * 40, names, dictionary.stored_fingerprint
    )
    return replace(reference, **changes)


def test_flags_agree_with_a_hand_worked_case(model):
    reference = statistics(model, distances=(1.0, 1.2, 1.5))
    scores = np.zeros((2, len(reference.conditions)))
    scores[1, 1], scores[1, 3] = 2, -2
    embeddings = np.stack([reference.center, reference.center + 100])
    usual, unusual = image_flags(reference, scores, embeddings)
    assert usual.to_dict() == dict(unusual=False, distance=0, more=[], less=[])
    assert unusual.unusual and unusual.distance > 1.5
    assert unusual.more == (reference.conditions[1],)
    assert unusual.less == (reference.conditions[3],)


def test_checker_measures_the_scores_and_the_distance_of_an_image(
    tmp_path, model, checkpoint_content, picture
):
    content = checkpoint_content(model)
    content['meta'][META_KEY] = statistics(model).to_text()
    path = tmp_path / 'x.pth'
    torch.save(content, path)
    checker = ImageChecker(load_segmentor(path, device='cpu'), path)
    scores, embedding = checker.measure(picture)
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)
    texts = checker.model.decode_head.dictionary.confounder_embeddings.numpy()
    assert scores == pytest.approx(texts @ embedding, abs=1e-5)
    flag = checker.flag(picture)
    assert flag.distance == pytest.approx(
        checker.reference.distance(embedding[None])[0]
    )


def test_inferencer_flags_each_image_of_a_stream_only_on_request(
    tmp_path, checkpoint_content, picture
):
    content = checkpoint_content()
    path = tmp_path / 'best.pth'
    torch.save(content, path)
    content['meta'][META_KEY] = statistics(load_segmentor(path, device='cpu')).to_text()
    torch.save(content, path)
    inferencer = MCDRLInferencer(weights=str(path), device='cpu', show_progress=False)
    images = [picture, picture[::-1].copy(), 255 - picture]
    (plain, *_) = inferencer.predict(images, batch_size=2)
    assert plain.flag is None
    found = [p.flag for p in inferencer.predict(iter(images), batch_size=2, flags=True)]
    checker = ImageChecker(inferencer.model)
    assert found == [checker.flag(image) for image in images]
    assert len({flag.distance for flag in found}) == 3
    inferencer.model.site_reference = None
    with pytest.raises(SiteReferenceError, match='site-reference'):
        next(inferencer.predict(images, flags=True))


def test_predict_writes_flags_and_refuses_a_checkpoint_without_statistics(
    tmp_path, model, checkpoint_content, tiny_checkpoint, picture
):
    content = checkpoint_content(model)
    content['meta'][META_KEY] = statistics(model, distances=(0, 0, 0)).to_text()
    path = tmp_path / 'x.pth'
    torch.save(content, path)
    cv2.imwrite(str(tmp_path / 'a.png'), picture)
    names, out = [str(tmp_path / 'a.png')], tmp_path / 'out'
    inferencer = MCDRLInferencer(None, path, device='cpu', show_progress=False)
    predict_files(inferencer, names, out, save=['flags'])
    (image,) = json.loads((out / 'flags.json').read_text())['images']
    assert image['unusual'] is True
    expected = ImageChecker(inferencer.model).flag(picture).to_dict()
    assert {key: image[key] for key in expected} == expected
    assert image['file_name'] == names[0]
    without = MCDRLInferencer(None, tiny_checkpoint, device='cpu', show_progress=False)
    with pytest.raises(SiteReferenceError, match='site-reference CONFIG CHECKPOINT'):
        predict_files(without, names, tmp_path / 'other', save=['masks', 'flags'])
    assert not (tmp_path / 'other').exists()


def test_condition_names_follow_the_statistics_and_not_the_config(model):
    reference = statistics(model)
    reference = replace(reference, conditions=reference.conditions[::-1])
    model.site_reference = reference.to_text()
    assert site_reference_of(model).conditions == reference.conditions


def test_error_for_a_checkpoint_without_statistics_names_the_command(
    tiny_checkpoint,
):
    model = load_segmentor(tiny_checkpoint, device='cpu')
    with pytest.raises(SiteReferenceError, match=r'site-reference CONFIG .*tiny\.pth'):
        ImageChecker(model, tiny_checkpoint)


@pytest.mark.parametrize(
    'changes', [dict(fingerprint='cd' * 32), dict(conditions=tuple('abcdefghijkl'))]
)
def test_statistics_of_another_dictionary_are_refused(model, changes):
    model.site_reference = statistics(model, **changes).to_text()
    with pytest.raises(SiteReferenceError, match='other prompts or another CLIP'):
        site_reference_of(model, 'x.pth')


def test_model_without_dictionary_is_refused(model):
    model.decode_head = model.decode_head.predictor
    with pytest.raises(DictionaryError, match='configs/mcdrl'):
        site_reference_of(model)


def test_measured_values_that_are_not_finite_are_refused(model, picture):
    model.site_reference = statistics(model).to_text()
    with torch.no_grad():
        next(model.backbone.parameters()).fill_(float('nan'))
    with pytest.raises(SiteReferenceError, match='NaN or infinite'):
        ImageChecker(model).measure(picture)
