import json

import numpy as np
import pytest

from mcdrl_lab.data.converters import site_building
from mcdrl_lab.data.converters.pair_and_write import Options, pair_and_write
from mcdrl_lab.data.output_folder import work_folder
from mcdrl_lab.data.site_index import read_index
from mcdrl_lab.errors import ConversionError


def problems_of(outcome):
    return {(p['kind'], p['file']) for p in outcome.report['problems']}


@pytest.fixture
def spoilt(make, download, three_pairs):
    """The three good pairs, and files with every kind of problem."""
    make.image('images/no mask.jpg')
    make.mask('masks/no image.png')
    make.image('images/size.jpg')
    make.mask('masks/size.png', size=(40, 64))
    for name in ('images/cut.jpg', 'masks/cut2.png'):
        kind = make.image if name.startswith('images') else make.mask
        path = kind(name)
        path.write_bytes(path.read_bytes()[:-60])
    make.mask('masks/cut.png')
    make.image('images/cut2.jpg')
    make.image('images/low.jpg')
    make.mask('masks/low.png', values=(0, 1))
    make.image('images/red.jpg')
    red = np.zeros((48, 64, 3), np.uint8)
    red[5:9, 5:9, 0] = 255
    make.array('masks/red.png', red)
    make.image('images/text.jpg').write_text('no image')
    make.mask('masks/text.png')
    for ending in ('jpg', 'png'):
        make.image(f'images/twice.{ending}')
    make.mask('masks/twice.png')


SPOILT = {
    ('missing mask', 'images/no mask.jpg'),
    ('missing image', 'masks/no image.png'),
    ('size mismatch', 'masks/size.png'),
    ('unreadable image', 'images/cut.jpg'),
    ('unreadable mask', 'masks/cut2.png'),
    ('unexpected values', 'masks/low.png'),
    ('colour mask', 'masks/red.png'),
    ('unreadable image', 'images/text.jpg'),
    ('ambiguous', 'images/twice.jpg'),
    ('ambiguous', 'images/twice.png'),
}


def test_every_problem_is_named_and_nothing_of_the_site_is_written(
    clinic, spoilt, download, out, snapshot
):
    (outcome,) = pair_and_write(clinic(), [download], out)
    assert outcome.state == 'refused'
    assert problems_of(outcome) == SPOILT
    assert set(snapshot(out)) == {
        '.lock',
        'reports/clinic.refused.json',
        'reports/clinic.refused.md',
    }
    text = outcome.report_file.read_text()
    report = json.loads(outcome.report_file.with_suffix('.json').read_text())
    for kind, file in SPOILT:
        assert f'- {kind}: `{file}`: ' in text
        assert (kind, file) in {(p['kind'], p['file']) for p in report['problems']}
    assert '**Nothing was written.**' in text


def test_skip_bad_writes_the_good_pairs_and_names_the_bad_files(
    clinic, spoilt, download, out, snapshot
):
    (outcome,) = pair_and_write(clinic(), [download], out, Options(skip_bad=True))
    assert outcome.state == 'written'
    assert problems_of(outcome) == SPOILT
    images = [row['image'] for row in read_index(out / 'index.csv')]
    assert images == [f'clinic/images/{name}' for name in ('a.jpg', 'b.png', 'c.png')]
    written = {name for name in snapshot(out) if name.startswith('clinic/')}
    assert len(written) == 6
    assert outcome.report['counts']['files with problems'] == len(SPOILT)
    before = snapshot(out)
    (outcome,) = pair_and_write(clinic(), [download], out, Options(skip_bad=True))
    assert outcome.state == 'up to date'
    assert snapshot(out) == before


def test_data_without_any_good_pair_are_refused_even_with_skip_bad(
    clinic, make, download, out
):
    make.image('images/a.jpg')
    make.mask('masks/b.png')
    (outcome,) = pair_and_write(clinic(), [download], out, Options(skip_bad=True))
    assert outcome.state == 'refused'
    assert not (out / 'clinic').exists()


def test_a_conversion_killed_while_building_leaves_no_trace(
    clinic, three_pairs, download, out, monkeypatch
):
    def killed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(site_building, 'fingerprint', killed)
    with pytest.raises(KeyboardInterrupt):
        pair_and_write(clinic(), [download], out)
    assert not out.exists()


def test_output_inside_the_input_is_refused(clinic, three_pairs, download):
    with pytest.raises(ConversionError, match='lies in the input folder'):
        pair_and_write(clinic(), [download], download / 'out')
    assert not (download / 'out').exists()


def test_files_of_another_data_set_are_an_error_that_shows_the_expected_layout(
    clinic, make, download, out
):
    make.image('photos/a.jpg')
    with pytest.raises(ConversionError, match=r'images/NAME.jpg.*photos/a.jpg'):
        pair_and_write(clinic(), [download], out)
    assert not out.exists()


@pytest.mark.parametrize('name', ['', '../up', 'a/b', '.hidden', 'reports', 'a b'])
def test_site_names_that_are_not_valid_folder_names_are_refused(
    clinic, download, out, name
):
    with pytest.raises(ConversionError, match='--site'):
        pair_and_write(clinic(name), [download], out)


def test_a_second_conversion_into_the_same_folder_at_once_is_refused(
    clinic, three_pairs, download, out
):
    with work_folder(out), pytest.raises(ConversionError, match='another conversion'):
        pair_and_write(clinic(), [download], out)


def test_the_dataset_reads_what_a_converter_wrote(clinic, three_pairs, download, out):
    from mcdrl_mmseg.datasets import EndoscopySiteDataset

    pair_and_write(clinic(), [download], out)
    dataset = EndoscopySiteDataset(
        data_root=str(out), sites=[dict(name='clinic', lesion_classes=['polyp'])]
    )
    assert len(dataset) == 3
