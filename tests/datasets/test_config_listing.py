import numpy as np
import pytest

from mcdrl_common.mask_format import MaskError
from mcdrl_mmseg.datasets.config_listing import list_config


@pytest.fixture
def mask_format(tmp_path):
    """The mask format listed for a stock dataset with the given options."""
    (tmp_path / 'images').mkdir()
    (tmp_path / 'images/a.jpg').touch()

    def listed(**options):
        dataset = dict(
            type='BaseSegDataset',
            data_root=str(tmp_path),
            data_prefix=dict(img_path='images', seg_map_path='masks'),
            metainfo=dict(classes=('background', 'polyp')),
            pipeline=[],
            **options,
        )
        listing = list_config(dict(train_dataloader=dict(dataset=dataset)))
        (entry,) = listing.entries
        return entry.mask_format

    return listed


@pytest.mark.parametrize('ignored', [255, 7])
def test_the_ignored_label_of_a_stock_dataset_is_not_an_unknown_value(
    mask_format, ignored
):
    labels, _ = mask_format(ignore_index=ignored).decode(
        np.array([[0, 1, ignored]], np.uint8), 'm.png'
    )
    assert labels.tolist() == [[0, 0, 255]]
    with pytest.raises(MaskError, match='values'):
        mask_format(ignore_index=ignored).decode(
            np.array([[0, 1, {255: 7, 7: 255}[ignored]]], np.uint8), 'm.png'
        )
