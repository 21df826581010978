import pytest

from mcdrl_common.image_records import check_records_path, read_records, write_records


def test_written_records_are_read_back_and_no_other_file_is_left(tmp_path):
    path = tmp_path / 'new folder' / 'records.json'
    write_records(path, dict(images=[dict(dice=0.5, site='é')]))
    assert read_records(path)['images'] == [dict(dice=0.5, site='é')]
    assert [p.name for p in path.parent.iterdir()] == ['records.json']


def test_records_of_an_earlier_evaluation_are_replaced(tmp_path):
    path = tmp_path / 'records.json'
    write_records(path, dict(images=[1]))
    write_records(path, dict(images=[2]))
    assert read_records(path)['images'] == [2]


@pytest.mark.parametrize('content', ['precious notes', '{"mine": 1}', '[]', '\xff'])
def test_a_file_that_is_not_a_records_file_is_never_replaced(tmp_path, content):
    path = tmp_path / 'records.json'
    path.write_text(content, encoding='latin-1')
    with pytest.raises(ValueError, match='left alone'):
        check_records_path(path)
    with pytest.raises(ValueError, match='left alone'):
        write_records(path, dict(images=[]))
    with pytest.raises(ValueError, match='is not a records file'):
        read_records(path)
    assert path.read_text(encoding='latin-1') == content


def test_a_folder_in_place_of_the_records_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match='left alone'):
        check_records_path(tmp_path)


def test_nan_is_refused_and_the_old_file_is_kept(tmp_path):
    path = tmp_path / 'records.json'
    write_records(path, dict(images=[1]))
    with pytest.raises(ValueError):
        write_records(path, dict(images=[float('nan')]))
    assert read_records(path)['images'] == [1]
    assert [p.name for p in tmp_path.iterdir()] == ['records.json']
