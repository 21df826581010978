import pytest

from mcdrl_mmseg.engine.class_order import moved_class, trained_classes


@pytest.mark.parametrize(
    ('trained', 'labelled', 'moved'),
    [
        (['background', 'polyp', 'nodule'], ['background', 'nodule', 'polyp'], True),
        (['background', 'polyp'], ['polyp', 'background'], True),
        (['background', 'polyp', 'nodule'], ['background', 'polyp', 'cyst'], False),
        (['background', 'polyp'], ['background', 'lesion'], False),
        ([], ['background', 'polyp'], False),
    ],
)
def test_a_class_that_both_know_must_have_one_label(trained, labelled, moved):
    assert bool(moved_class(trained, labelled)) == moved


def test_the_message_names_the_first_label_that_changes_its_meaning():
    text = moved_class(['background', 'a', 'b'], ['background', 'b', 'a'])
    assert 'label 1 would mean another class' in text


@pytest.mark.parametrize(
    'checkpoint',
    [{}, dict(meta=None), dict(meta=dict(dataset_meta=3)), dict(meta=dict())],
)
def test_a_checkpoint_without_names_has_no_classes(checkpoint):
    assert trained_classes(checkpoint) == []


def test_classes_are_read_as_mmengine_stores_them():
    meta = dict(dataset_meta=dict(classes=('background', 'polyp')))
    assert trained_classes(dict(meta=meta)) == ['background', 'polyp']
