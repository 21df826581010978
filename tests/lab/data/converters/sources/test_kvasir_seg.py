import tarfile
import zipfile

import numpy as np
import pytest

from mcdrl_lab.data.converters.pair_and_write import pair_and_write
from mcdrl_lab.data.converters.sources import kvasir_seg


def column(rows, name):
    return [row[name] for row in rows.values()]


def test_kvasir_seg_is_read_with_its_jpeg_masks(
    make, converted, out, read_mask, box_mask
):
    for name in ('cju0qkwl', 'cju0qoxq'):
        folder = 'Kvasir-SEG'
        make.pair(f'{folder}/images/{name}.jpg', f'{folder}/masks/{name}.jpg')
    (make.root / 'Kvasir-SEG/kavsir_bboxes.json').write_text('{}')
    rows = converted(kvasir_seg.SOURCE)
    assert column(rows, 'site') == ['kvasir_seg'] * 2
    assert column(rows, 'classes') == ['polyp'] * 2
    for mask in column(rows, 'mask'):
        assert np.array_equal(read_mask(out / mask), box_mask)


@pytest.mark.parametrize('kind', ['zip', 'tar.gz'])
def test_archives_are_converted_like_their_folders(
    make, download, tmp_path, out, snapshot, kind
):
    for name in 'ab':
        make.pair(f'Kvasir-SEG/images/{name}.jpg', f'Kvasir-SEG/masks/{name}.jpg')
    archive = tmp_path / f'kvasir-seg.{kind}'
    if kind == 'zip':
        with zipfile.ZipFile(archive, 'w') as file:
            for path in sorted(download.rglob('*')):
                file.write(path, path.relative_to(download))
    else:
        with tarfile.open(archive, 'w:gz') as file:
            file.add(download / 'Kvasir-SEG', 'Kvasir-SEG')
    pair_and_write(kvasir_seg.SOURCE, [archive], out)
    by_folder = tmp_path / 'by_folder'
    pair_and_write(kvasir_seg.SOURCE, [download], by_folder)
    for name, content in snapshot(by_folder).items():
        if not name.startswith('reports'):
            assert snapshot(out)[name] == content
