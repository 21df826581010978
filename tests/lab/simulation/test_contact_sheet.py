import cv2
import numpy as np
import pytest

from mcdrl_common.written_files import OutputError
from mcdrl_lab.simulation import contact_sheet
from mcdrl_lab.simulation.contact_sheet import draw_pictures


def test_pictures_have_a_row_for_each_confounder_lesion_and_site_and_are_small(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(contact_sheet, '_SIZE', 32)
    files = draw_pictures(tmp_path / 'pictures')
    drawn = [np.frombuffer(content, np.uint8) for content in files.values()]
    heights = [cv2.imdecode(content, cv2.IMREAD_COLOR).shape[0] for content in drawn]
    assert heights == [24 + 32 * rows for rows in (12, 6, 5)]
    assert all(len(content) < 600_000 for content in drawn)


def test_a_different_picture_of_the_same_name_is_not_replaced(tmp_path, monkeypatch):
    sheet = np.zeros((8, 8, 3), np.uint8)
    for name in ('confounder_sheet', 'lesion_sheet', 'site_sheet'):
        monkeypatch.setattr(contact_sheet, name, lambda: sheet)
    for file, content in draw_pictures(tmp_path).items():
        file.write_bytes(content)
    # Equal pictures can be drawn again.
    drawn = draw_pictures(tmp_path)
    own = tmp_path / 'endosim_sites.jpg'
    own.write_bytes(b'my own')
    with pytest.raises(OutputError, match=r'endosim_sites\.jpg: in the way: another'):
        draw_pictures(tmp_path)
    assert own.read_bytes() == b'my own' and len(drawn) == 3


def test_the_first_column_shows_scenes_without_the_confounder(monkeypatch):
    monkeypatch.setattr(contact_sheet, '_SIZE', 32)
    sheet = contact_sheet.confounder_sheet()
    dark = sheet[24 + 3 * 32 : 24 + 4 * 32, 150 : 150 + 5 * 32]
    means = [dark[:, 32 * k : 32 * (k + 1)].mean() for k in range(5)]
    assert (np.diff(means) < -5).all()
