import pytest

from mcdrl_common.dice_all import dice_all


@pytest.mark.parametrize(
    ('record', 'value'),
    [
        (dict(has_lesion=True, dice=0.25, false_positive=None), 0.25),
        # A lesion that is missed completely is not a correct empty prediction.
        (dict(has_lesion=True, dice=0.0, false_positive=None), 0.0),
        (dict(has_lesion=False, dice=None, false_positive=False), 1.0),
        (dict(has_lesion=False, dice=None, false_positive=True), 0.0),
        # No pixel of it has a label.
        (dict(has_lesion=False, dice=None, false_positive=None), None),
        # Compact records leave out what is None.
        (dict(has_lesion=True, dice=0.5), 0.5),
        (dict(has_lesion=False, false_positive=False), 1.0),
        (dict(has_lesion=False), None),
    ],
)
def test_an_empty_prediction_is_right_only_for_an_image_without_lesion(record, value):
    assert dice_all(record) == value
