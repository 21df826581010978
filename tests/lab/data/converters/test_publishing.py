import csv
import json

import pytest

from mcdrl_lab.data.converters import publishing
from mcdrl_lab.data.converters.pair_and_write import Options, pair_and_write
from mcdrl_lab.data.site_index import read_index
from mcdrl_lab.errors import ConversionError


def test_a_second_run_changes_nothing(clinic, three_pairs, download, out, snapshot):
    pair_and_write(clinic(), [download], out)
    before = snapshot(out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob('*') if path.is_file()}
    (outcome,) = pair_and_write(clinic(), [download], out, Options(overwrite=True))
    assert outcome.state == 'up to date'
    assert snapshot(out) == before
    del times[out / '.lock']
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


def test_the_report_of_a_refusal_is_removed_once_the_data_are_corrected(
    clinic, three_pairs, make, download, out, snapshot
):
    make.image('images/d.jpg')
    pair_and_write(clinic(), [download], out)
    assert (out / 'reports/clinic.refused.md').is_file()
    make.mask('masks/d.png')
    pair_and_write(clinic(), [download], out)
    assert not [name for name in snapshot(out) if 'refused' in name]


def test_refused_data_leave_an_earlier_conversion_as_it_was(
    clinic, three_pairs, make, download, out, snapshot
):
    pair_and_write(clinic(), [download], out)
    before = snapshot(out)
    make.image('images/d.jpg')
    pair_and_write(clinic(), [download], out, Options(overwrite=True))
    after = snapshot(out)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {
        'reports/clinic.refused.json',
        'reports/clinic.refused.md',
    }


def test_a_site_that_would_change_needs_overwrite(
    clinic, three_pairs, make, download, out, snapshot
):
    pair_and_write(clinic(), [download], out)
    before = snapshot(out)
    make.pair('images/d.jpg', 'masks/d.png')
    with pytest.raises(ConversionError, match=r'images/d.jpg.*--overwrite'):
        pair_and_write(clinic(), [download], out)
    assert snapshot(out) == before
    (outcome,) = pair_and_write(clinic(), [download], out, Options(overwrite=True))
    assert outcome.state == 'written'
    assert len(read_index(out / 'index.csv')) == 4
    assert not list(out.glob('.previous-*'))


def test_a_folder_that_no_converter_made_is_never_replaced(
    clinic, three_pairs, download, out, snapshot
):
    (out / 'clinic').mkdir(parents=True)
    (out / 'clinic/thesis.txt').write_text('years of work')
    before = snapshot(out)
    with pytest.raises(ConversionError, match='not made by a converter'):
        pair_and_write(clinic(), [download], out, Options(overwrite=True))
    assert {**before, '.lock': b''} == snapshot(out)


@pytest.mark.reliability('fault', 'a conversion of data killed')
def test_a_conversion_killed_before_it_writes_the_index_is_completed_by_the_next(
    clinic, three_pairs, download, out, snapshot, monkeypatch
):
    def killed(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(publishing, 'index_text', killed)
        with pytest.raises(KeyboardInterrupt):
            pair_and_write(clinic(), [download], out)
    assert not (out / 'index.csv').exists()
    (outcome,) = pair_and_write(clinic(), [download], out)
    assert outcome.state == 'renewed'
    assert len(read_index(out / 'index.csv')) == 3


def test_other_sites_keep_their_rows_and_added_columns(
    clinic, three_pairs, download, out
):
    pair_and_write(clinic('one'), [download], out)
    rows = read_index(out / 'index.csv')
    with (out / 'index.csv').open('w', newline='') as file:
        writer = csv.DictWriter(file, [*rows[0], 'device'])
        writer.writeheader()
        writer.writerows({**row, 'device': 'X'} for row in rows)
    pair_and_write(clinic('another'), [download], out)
    merged = read_index(out / 'index.csv')
    assert [row['site'] for row in merged] == ['another'] * 3 + ['one'] * 3
    assert [row['device'] for row in merged] == [''] * 3 + ['X'] * 3
    (outcome,) = pair_and_write(clinic('one'), [download], out)
    assert outcome.state == 'up to date'
    assert read_index(out / 'index.csv') == merged


def test_rows_that_the_user_changed_are_overwritten_only_on_request(
    clinic, three_pairs, download, out
):
    pair_and_write(clinic(), [download], out)
    text = (out / 'index.csv').read_text()
    changed = text.replace('images/a.jpg,clinic/masks/a.png,,', 'images/a.jpg,m,s1,')
    (out / 'index.csv').write_text(changed)
    with pytest.raises(ConversionError, match=r'its rows in index.csv'):
        pair_and_write(clinic(), [download], out)
    assert (out / 'index.csv').read_text() == changed
    pair_and_write(clinic(), [download], out, Options(overwrite=True))
    # The sequence, which the converter does not know, is kept.
    kept = text.replace('masks/a.png,,', 'masks/a.png,s1,')
    assert (out / 'index.csv').read_text() == kept


def fill_in(out, **values):
    """Edit index.csv like a user: ``a='p1'`` is the patient of images/a.jpg."""
    rows = read_index(out / 'index.csv')
    for row in rows:
        row['patient'] = values.get(row['image'].rpartition('/')[2][0], '')
    with (out / 'index.csv').open('w', newline='') as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)


def patients(out):
    rows = read_index(out / 'index.csv')
    return {row['image'].rpartition('/')[2][0]: row['patient'] for row in rows}


def test_patients_filled_in_by_hand_are_kept_for_unchanged_images(
    clinic, three_pairs, make, download, out
):
    pair_and_write(clinic(), [download], out)
    fill_in(out, a='p1', b='p2', c='p3')
    (outcome,) = pair_and_write(clinic(), [download], out)
    assert outcome.state == 'up to date'
    assert patients(out) == {'a': 'p1', 'b': 'p2', 'c': 'p3'}

    make.image('images/a.jpg', seed='another picture')
    make.mask('masks/b.jpg', box=(0, 0, 5, 5))
    make.pair('images/d.jpg', 'masks/d.png')
    (outcome,) = pair_and_write(clinic(), [download], out, Options(overwrite=True))
    assert patients(out) == {'a': '', 'b': '', 'c': 'p3', 'd': ''}
    assert outcome.dropped == [
        'patient of 2 images: clinic/images/a.jpg (p1), clinic/images/b.png (p2)'
    ]


def test_the_patient_of_a_removed_image_is_reported(
    clinic, three_pairs, download, out, capsys
):
    pair_and_write(clinic(), [download], out)
    fill_in(out, c='p3')
    (download / 'images/c.tif').unlink()
    (download / 'masks/c.png').unlink()
    (outcome,) = pair_and_write(clinic(), [download], out, Options(overwrite=True))
    assert patients(out) == {'a': '', 'b': ''}
    assert outcome.dropped == ['patient of 1 images: clinic/images/c.png (p3)']


def test_images_at_two_sites_are_reported_in_any_order_of_conversion(
    clinic, three_pairs, download, out, snapshot
):
    pair_and_write(clinic('one'), [download], out)
    assert not (out / 'reports/between_sites.json').exists()
    pair_and_write(clinic('two'), [download], out)
    before = snapshot(out)
    report = json.loads(before['reports/between_sites.json'])
    assert report['exact_duplicates'] == [
        [f'one/images/{name}', f'two/images/{name}']
        for name in ('a.jpg', 'b.png', 'c.png')
    ]
    pair_and_write(clinic('one'), [download], out)
    assert snapshot(out) == before


def test_a_broken_index_stops_a_conversion_before_anything_is_written(
    clinic, three_pairs, download, out, snapshot
):
    out.mkdir()
    (out / 'index.csv').write_text('a,b\n1,2\n')
    with pytest.raises(ConversionError, match=r'index\.csv'):
        pair_and_write(clinic(), [download], out)
    assert set(snapshot(out)) == {'.lock', 'index.csv'}
