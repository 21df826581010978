import cv2
import numpy as np

from mcdrl_lab.simulation import contact_sheet
from mcdrl_lab.simulation.contact_sheet import write_pictures


def test_pictures_hold_a_row_for_each_thing_and_are_small(tmp_path, monkeypatch):
    monkeypatch.setattr(contact_sheet, '_SIZE', 32)
    files = write_pictures(tmp_path / 'pictures')
    heights = [cv2.imread(str(file)).shape[0] for file in files]
    assert heights == [24 + 32 * rows for rows in (12, 6, 5)]
    assert all(file.stat().st_size < 600_000 for file in files)


def test_the_first_column_shows_scenes_without_the_confounder(monkeypatch):
    monkeypatch.setattr(contact_sheet, '_SIZE', 32)
    sheet = contact_sheet.confounder_sheet()
    dark = sheet[24 + 3 * 32 : 24 + 4 * 32, 150 : 150 + 5 * 32]
    means = [dark[:, 32 * k : 32 * (k + 1)].mean() for k in range(5)]
    assert (np.diff(means) < -5).all()
