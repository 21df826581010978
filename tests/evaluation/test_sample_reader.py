import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mcdrl_mmseg.evaluation.sample_reader import read_sample


def sample(logits=None, predicted=None, target=None, **metainfo):
    """A sample dict as mmengine's evaluator passes it on; maps are nested lists."""
    out = SegDataSample(metainfo=dict(img_path='a.png', **metainfo))
    if target is None:
        target = [[0, 1]]
    out.gt_sem_seg = PixelData(data=torch.tensor(target)[None])
    if logits is not None:
        out.seg_logits = PixelData(data=torch.tensor(logits))
    if predicted is not None:
        out.pred_sem_seg = PixelData(data=torch.tensor(predicted)[None])
    return out.to_dict()


def test_two_classes_are_thresholded_at_one_half_and_a_tie_is_background():
    logits = [[[0.0, 1.0, 2.0]], [[0.5, 1.0, 1.0]]]
    image = read_sample(sample(logits, target=[[0, 0, 0]]))
    assert image.labels.tolist() == [[1, 0, 0]]
    expected = torch.sigmoid(torch.tensor([[0.5, 0.0, -1.0]]))
    assert torch.allclose(image.probability, expected)


def test_three_classes_are_decided_by_argmax_and_lesion_probabilities_add_up():
    probabilities = torch.tensor([0.4, 0.3, 0.3])
    logits = probabilities.log().reshape(3, 1, 1).tolist()
    image = read_sample(sample(logits, target=[[0]]))
    assert image.num_classes == 3
    assert image.labels.tolist() == [[0]]
    assert image.probability.item() == pytest.approx(0.6)


def test_label_map_of_mmseg_is_used_if_it_agrees_with_the_logits():
    image = read_sample(sample([[[0.0, 0.0]], [[-1.0, 1.0]]], [[0, 1]]))
    assert image.labels.tolist() == [[0, 1]]
    assert image.probability is not None
    assert image.notes == ()


@pytest.mark.parametrize(
    'logits', [[[[0.0, 0.0]], [[1.0, 1.0]]], [[[0.1, 0.9]]]], ids=['two', 'one']
)
def test_logits_that_contradict_the_label_map_are_not_used(logits):
    # As after test-time augmentation, which keeps the logits of the last view.
    image = read_sample(sample(logits, [[1, 0]]))
    assert image.labels.tolist() == [[1, 0]]
    assert image.probability is None
    assert [key for key, _ in image.notes] == ['merged']


def test_one_channel_is_thresholded_at_one_half_whatever_the_heads_threshold():
    # mmseg's default threshold of 0.3 marks all but the first pixel.
    image = read_sample(
        sample([[[0.2, 0.4, 0.5, 0.6]]], [[0, 1, 1, 1]], [[0, 0, 1, 1]])
    )
    assert image.labels.tolist() == [[0, 0, 0, 1]]
    assert image.num_classes == 2
    # A note: inference writes other masks than those that are measured.
    assert [key for key, _ in image.notes] == ['threshold']
    image = read_sample(sample([[[0.2, 0.6]]], [[0, 1]], [[0, 1]]))
    assert image.notes == ()


def test_one_channel_of_raw_logits_is_an_error():
    with pytest.raises(ValueError, match='must be a probability'):
        read_sample(sample([[[-3.0, 4.0]]]))


def test_label_map_alone_gives_no_probability_and_a_note():
    image = read_sample(sample(predicted=[[0, 2]]), num_classes=3)
    assert image.labels.tolist() == [[0, 2]]
    assert image.num_classes == 3
    assert image.probability is None
    assert [key for key, _ in image.notes] == ['no_logits']


def test_label_map_alone_gives_no_note_if_probabilities_are_not_requested():
    image = read_sample(sample(predicted=[[0, 1]]), with_probability=False)
    assert image.notes == ()


def test_label_map_without_a_channel_dimension_is_read():
    # mmseg's test-time augmentation stores (H, W).
    taken = sample(predicted=[[0, 1]])
    taken['pred_sem_seg']['data'] = taken['pred_sem_seg']['data'][0]
    assert read_sample(taken).labels.tolist() == [[0, 1]]


def test_nan_becomes_probability_zero_and_gives_a_note():
    logits = [[[0.0, 0.0]], [[float('nan'), 1.0]]]
    image = read_sample(sample(logits, [[0, 1]]))
    assert image.probability[0, 0] == 0
    assert image.labels.tolist() == [[0, 1]]
    assert [key for key, _ in image.notes] == ['nan']


def test_half_precision_logits_are_read():
    taken = sample([[[0.0, 0.0]], [[-1.0, 1.0]]])
    taken['seg_logits']['data'] = taken['seg_logits']['data'].bfloat16()
    assert read_sample(taken).labels.tolist() == [[0, 1]]


def test_metainfo_is_read_and_has_defaults_for_stock_datasets():
    image = read_sample(sample(predicted=[[0, 1]]))
    assert (image.site, image.sequence, image.lesion_classes) == ('all', None, None)
    image = read_sample(
        sample(predicted=[[0, 1]], site='c1', sequence='s', lesion_classes=('polyp',))
    )
    assert (image.site, image.sequence) == ('c1', 's')
    assert image.lesion_classes == ('polyp',)


def test_a_data_sample_is_read_like_its_dict():
    out = SegDataSample(metainfo=dict(img_path='a.png', site='c1'))
    out.gt_sem_seg = PixelData(data=torch.tensor([[[0, 1]]]))
    out.pred_sem_seg = PixelData(data=torch.tensor([[[1, 1]]]))
    image = read_sample(out)
    assert image.site == 'c1'
    assert image.labels.tolist() == [[1, 1]]


def test_error_for_missing_ground_truth_or_prediction_names_the_image():
    with pytest.raises(ValueError, match=r'a\.png: the sample has no gt_sem_seg'):
        read_sample({'img_path': 'a.png'})
    with pytest.raises(ValueError, match=r'a\.png: the sample has neither'):
        read_sample(sample())
