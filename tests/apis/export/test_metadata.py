import pytest

from mcdrl_mmseg.apis.export.deployable import DeployableSegmentor
from mcdrl_mmseg.apis.export.metadata import describe, from_strings, to_strings
from mcdrl_mmseg.version import __version__


def test_description_holds_the_input_format_the_classes_and_the_version(vit):
    found = describe(DeployableSegmentor(vit), (64, 96), 8)
    assert found['classes'] == ['background', 'lesion']
    assert (found['height'], found['width'], found['size_multiple']) == (64, 96, 8)
    assert found['channel_order'] == 'RGB'
    assert found['activation'] == 'softmax over channels'
    assert found['mean'] == pytest.approx([122.771, 116.746, 104.094], abs=1e-3)
    assert found['std'] == pytest.approx([68.501, 66.632, 70.323], abs=1e-3)
    assert found['mcdrl_mmseg'] == __version__


def test_description_survives_the_conversion_to_strings_and_back():
    data = dict(classes=['a', 'ü'], mean=[1.5, 2.0], threshold=None, int8=False)
    texts = to_strings(data)
    assert all(isinstance(text, str) for text in texts.values())
    assert texts['mcdrl.mean'] == '[1.5, 2.0]'
    assert from_strings({**texts, 'of_others': 'no JSON'}) == data
