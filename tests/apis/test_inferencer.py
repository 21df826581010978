import logging
import threading

import cv2
import numpy as np
import pytest
from mmengine.infer import infer
from mmengine.logging import MMLogger
from mmseg.apis import inference_model

from mcdrl_mmseg.apis import (
    CheckpointError,
    ImageError,
    MCDRLInferencer,
    explain,
    explanation,
    predict_at_gate,
)
from mcdrl_mmseg.apis.image_pipeline import ScoresError


@pytest.fixture(scope='module')
def inferencer(tiny_checkpoint) -> MCDRLInferencer:
    return MCDRLInferencer(
        weights=str(tiny_checkpoint), device='cpu', show_progress=False
    )


@pytest.fixture
def pictures(picture) -> list[np.ndarray]:
    """Five pictures of two sizes."""
    return [
        picture,
        picture[::-1].copy(),
        picture[:40],
        picture[:, ::-1].copy(),
        picture,
    ]


def test_predictions_agree_with_mmseg_at_any_batch_size(inferencer, pictures):
    expected = [inference_model(inferencer.model, picture) for picture in pictures]
    for batch_size in (1, 3, 8):
        made = list(inferencer.predict(pictures, batch_size))
        assert len(made) == len(pictures)
        for one, other, picture in zip(made, expected, pictures):
            assert one.labels.shape == picture.shape[:2]
            np.testing.assert_array_equal(
                one.labels, other.pred_sem_seg.data[0].numpy()
            )
            np.testing.assert_allclose(
                one.lesion_probability,
                other.seg_logits.data.softmax(dim=0)[1].numpy(),
                atol=1e-4,
            )


def test_a_single_image_a_folder_and_an_array_are_predicted_like_a_list(
    inferencer, picture, tmp_path
):
    for name in ('b.png', 'a.png'):
        cv2.imwrite(str(tmp_path / name), picture[:40] if name == 'a.png' else picture)
    (expected,) = inferencer.predict([picture])
    one = tmp_path / 'b.png'
    for image in (picture, str(one), one):
        (made,) = inferencer.predict(image)
        np.testing.assert_array_equal(made.labels, expected.labels)
    for folder in (str(tmp_path), tmp_path):
        shapes = [made.labels.shape for made in inferencer.predict(folder)]
        assert shapes == [picture[:40].shape[:2], picture.shape[:2]]
    stack = np.stack([picture, picture[::-1]])
    assert len(list(inferencer.predict(stack))) == 2


def test_images_go_through_the_network_in_batches(inferencer, pictures, monkeypatch):
    sizes = []
    forward = inferencer.model.test_step

    def counted(data):
        sizes.append(len(data['inputs']))
        return forward(data)

    monkeypatch.setattr(inferencer.model, 'test_step', counted)
    list(inferencer.predict(pictures, batch_size=2))
    assert sizes == [2, 2, 1]


def test_images_of_different_size_after_the_pipeline_are_not_put_into_one_batch(
    inferencer, pictures, monkeypatch
):
    def keep_size(image):
        packed = whole(image)
        packed['inputs'] = packed['inputs'][:, : image.shape[0], : image.shape[1]]
        return packed

    whole = inferencer.pipeline
    monkeypatch.setattr(inferencer, 'pipeline', keep_size)
    assert [len(data['inputs']) for data in inferencer.preprocess(pictures, 8)] == [
        2,
        1,
        2,
    ]


def test_a_stream_is_read_no_further_than_needed(inferencer, picture):
    read = []

    def stream():
        for number in range(100):
            read.append(number)
            yield picture

    predictions = inferencer.predict(stream(), batch_size=2)
    next(predictions)
    assert len(read) <= 4


def test_calling_the_inferencer_works_as_in_mmseg(inferencer, tmp_path, picture):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), picture)
    result = inferencer([str(path), picture], batch_size=2, return_vis=True)
    first, second = result['predictions']
    np.testing.assert_array_equal(first, second)
    assert first.shape == (90, 120)
    assert result['visualization'][0].shape == (90, 120, 3)
    inferencer(str(path), out_dir=str(tmp_path / 'out'))
    assert (tmp_path / 'out/vis/a.png').is_file()


def test_masks_of_a_folder_are_numbered_by_name(
    inferencer, tmp_path, pictures, monkeypatch
):
    for name, picture in zip('abc', pictures[:3], strict=True):
        cv2.imwrite(str(tmp_path / f'{name}.png'), picture)
    # A file system may list files in any order, also in this one.
    names = ['c.png', 'a.png', 'b.png']
    monkeypatch.setattr(infer, 'list_dir_or_file', lambda *_, **__: iter(names))
    found = inferencer(str(tmp_path))['predictions']
    for mask, prediction in zip(found, inferencer.predict(pictures[:3]), strict=True):
        np.testing.assert_array_equal(mask, prediction.labels)


def test_images_of_mixed_sizes_give_no_warnings(inferencer, pictures):
    told = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    try:
        list(inferencer.predict(pictures, 4))
    finally:
        logger.removeHandler(handler)
    assert not told


def test_a_config_file_gives_the_same_prediction_as_the_config_in_the_checkpoint(
    tiny_checkpoint, tiny_config, inferencer, picture
):
    other = MCDRLInferencer(str(tiny_config), str(tiny_checkpoint), device='cpu')
    (one,), (two,) = other.predict([picture]), inferencer.predict([picture])
    np.testing.assert_array_equal(one.lesion_probability, two.lesion_probability)


def test_an_inferencer_without_weights_is_refused(tiny_config):
    with pytest.raises(ValueError, match='needs weights'):
        MCDRLInferencer(str(tiny_config))


def test_a_missing_checkpoint_and_a_missing_image_are_named_in_the_error(
    inferencer, tmp_path
):
    with pytest.raises(CheckpointError, match=r'gone\.pth'):
        MCDRLInferencer(weights=str(tmp_path / 'gone.pth'))
    with pytest.raises(ImageError, match=r'gone\.png'):
        next(inferencer.predict([str(tmp_path / 'gone.png')]))


@pytest.mark.reliability('fault', 'a model that gives NaN for an image')
def test_nan_scores_are_refused_in_predictions_and_explanations(
    tiny_checkpoint, picture
):
    inferencer = MCDRLInferencer(weights=str(tiny_checkpoint), device='cpu')
    weight = next(inferencer.model.decode_head.parameters())
    weight.data.fill_(float('nan'))
    for ask in (
        lambda: list(inferencer.predict([picture])),
        lambda: inferencer(picture),
        lambda: explain(inferencer.model, picture),
        lambda: predict_at_gate(inferencer.model, picture, 0.0),
    ):
        with pytest.raises(ScoresError, match='NaN or infinite'):
            ask()


def test_predictions_wait_while_an_explanation_changes_the_gate(
    inferencer, picture, monkeypatch
):
    """Both run in threads, as in a server that explains and predicts."""
    (alone,) = inferencer.predict([picture])
    moved, predicted, found = threading.Event(), threading.Event(), []
    prepare = explanation.prepare

    def slow(model, image):
        moved.set()
        # Predictions that do not wait would be done by then.
        predicted.wait(timeout=1)
        return prepare(model, image)

    def predict():
        found.extend(inferencer.predict([picture]))
        predicted.set()

    monkeypatch.setattr(explanation, 'prepare', slow)
    other = 0.0 if inferencer.model.decode_head.intervention.gate > 0.5 else 1.0
    explaining = threading.Thread(
        target=predict_at_gate, args=(inferencer.model, picture, other)
    )
    predicting = threading.Thread(target=predict)
    explaining.start()
    assert moved.wait(timeout=60)
    predicting.start()
    for thread in (explaining, predicting):
        thread.join()
    at_other = predict_at_gate(inferencer.model, picture, other)
    assert np.abs(at_other - alone.lesion_probability).max() > 1e-4
    np.testing.assert_allclose(
        found[0].lesion_probability, alone.lesion_probability, atol=1e-5
    )
