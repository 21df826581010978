import io
import os
import stat
import tarfile
import zipfile

import pytest
from made_data import files_below

from mcdrl_lab.data.converters.archive import Limits, is_archive, unpack
from mcdrl_lab.errors import ConversionError


def add_tar(file: tarfile.TarFile, name: str, content: bytes = b'', **fields) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    file.addfile(info, io.BytesIO(content))


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / 'deep' / 'target'
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def zip_of(tmp_path):
    def build(**members: bytes):
        path = tmp_path / 'data.zip'
        with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:
            for name, content in members.items():
                file.writestr(name, content)
        return path

    return build


@pytest.mark.parametrize('ending', ['tar', 'tar.gz', 'tar.bz2', 'tar.xz'])
def test_tar_files_are_unpacked_whatever_their_compression(tmp_path, target, ending):
    path = tmp_path / f'data.{ending}'
    with tarfile.open(path, f'w:{ending[4:]}') as file:
        add_tar(file, 'set/images', type=tarfile.DIRTYPE)
        add_tar(file, './set/images/a b.jpg', b'pixels')
    unpack(path, target, Limits())
    assert files_below(target) == {'set/images/a b.jpg': b'pixels'}


def test_zip_files_are_unpacked(zip_of, target):
    unpack(zip_of(**{'set/a.jpg': b'1', 'set\\b.jpg': b'2'}), target, Limits())
    assert files_below(target) == {'set/a.jpg': b'1', 'set/b.jpg': b'2'}


def test_a_tar_file_that_ends_in_a_zip_file_is_a_tar_file(tmp_path, zip_of, target):
    inner = zip_of(a=b'1').read_bytes()
    path = tmp_path / 'data.tar'
    with tarfile.open(path, 'w') as file:
        add_tar(file, 'inner.zip', inner)
    assert zipfile.is_zipfile(path)
    unpack(path, target, Limits())
    assert files_below(target) == {'inner.zip': inner}


def test_archives_are_recognised_by_content_not_by_name(tmp_path, zip_of):
    odd = tmp_path / 'download'
    zip_of(a=b'1').rename(odd)
    text = tmp_path / 'fake.zip'
    text.write_text('no archive')
    assert is_archive(odd)
    assert not is_archive(text)


@pytest.mark.reliability(
    'security', 'archives whose members point outside, by `..`, absolute or drive paths'
)
@pytest.mark.parametrize(
    'name',
    [
        '../evil.txt',
        'set/../../evil.txt',
        '..\\evil.txt',
        '/tmp/evil.txt',
        'C:\\evil.txt',
        'C:evil.txt',
        '\\\\host\\share\\evil.txt',
    ],
)
@pytest.mark.parametrize('kind', ['zip', 'tar'])
def test_members_outside_the_folder_are_refused_by_name(tmp_path, target, name, kind):
    path = tmp_path / f'data.{kind}'
    if kind == 'zip':
        with zipfile.ZipFile(path, 'w') as file:
            file.writestr(name, b'evil')
    else:
        with tarfile.open(path, 'w') as file:
            add_tar(file, name, b'evil')
    with pytest.raises(ConversionError) as error:
        unpack(path, target, Limits())
    assert repr(name) in str(error.value)
    assert not list(tmp_path.rglob('evil*'))
    assert not files_below(target)


@pytest.mark.reliability(
    'security', 'tar archives with symbolic links, hard links, devices or pipes'
)
@pytest.mark.parametrize(
    ('kind', 'word'),
    [
        (tarfile.SYMTYPE, 'link'),
        (tarfile.LNKTYPE, 'link'),
        (tarfile.CHRTYPE, 'device'),
        (tarfile.BLKTYPE, 'device'),
        (tarfile.FIFOTYPE, 'device'),
    ],
)
def test_links_and_devices_in_tar_files_are_refused(tmp_path, target, kind, word):
    path = tmp_path / 'data.tar'
    with tarfile.open(path, 'w') as file:
        add_tar(file, 'set/odd.jpg', type=kind, linkname='/etc/passwd')
    with pytest.raises(ConversionError, match=rf"'set/odd.jpg' is a {word}"):
        unpack(path, target, Limits())
    assert not (target / 'set/odd.jpg').exists()


@pytest.mark.reliability('security', 'zip archives with links or pipes')
@pytest.mark.parametrize(
    ('mode', 'word'), [(stat.S_IFLNK, 'link'), (stat.S_IFIFO, 'device')]
)
def test_links_and_pipes_in_zip_files_are_refused(tmp_path, target, mode, word):
    path = tmp_path / 'data.zip'
    info = zipfile.ZipInfo('odd.jpg')
    info.external_attr = (mode | 0o777) << 16
    with zipfile.ZipFile(path, 'w') as file:
        file.writestr(info, '/etc/passwd')
    with pytest.raises(ConversionError, match=rf"'odd.jpg' is a {word}"):
        unpack(path, target, Limits())


def test_an_archive_with_too_many_members_is_refused_at_the_first_excess_member(
    zip_of, target
):
    path = zip_of(**{f'{n}.jpg': b'x' for n in range(4)})
    with pytest.raises(ConversionError, match=r"'3.jpg' exceeds the limit of 3"):
        unpack(path, target, Limits(members=3))


def test_as_many_members_as_allowed_are_unpacked(zip_of, target):
    unpack(zip_of(**{f'{n}.jpg': b'x' for n in range(4)}), target, Limits(members=4))
    assert len(files_below(target)) == 4


def test_an_archive_with_too_many_bytes_is_refused_with_the_name_of_the_member(
    zip_of, target
):
    path = zip_of(small=b'x' * 60, large=b'y' * 60)
    with pytest.raises(ConversionError, match=r"'large' brings .* above 100 bytes"):
        unpack(path, target, Limits(total_bytes=100))


@pytest.mark.reliability('security', 'archives that unpack to far more than their size')
@pytest.mark.parametrize('kind', ['zip', 'tar.gz'])
def test_decompression_bombs_are_refused_before_they_fill_the_disk(
    tmp_path, target, kind
):
    path = tmp_path / f'bomb.{kind}'
    zeros = bytes(20 << 20)
    if kind == 'zip':
        with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:
            file.writestr('zeros', zeros)
    else:
        with tarfile.open(path, 'w:gz') as file:
            add_tar(file, 'zeros', zeros)
    limits = Limits(ratio=100, ratio_from_bytes=4 << 20)
    with pytest.raises(ConversionError, match=r"'zeros' brings .* above 100 times"):
        unpack(path, target, limits)
    assert sum(file.stat().st_size for file in target.rglob('*')) <= 5 << 20


@pytest.mark.reliability('security', 'zip members larger than their header says')
def test_a_member_larger_than_its_header_says_is_refused_at_that_size(
    tmp_path, zip_of, target
):
    path = zip_of(zeros=bytes(20 << 20))
    size, lie = (20 << 20).to_bytes(4, 'little'), (9).to_bytes(4, 'little')
    path.write_bytes(path.read_bytes().replace(size, lie))
    with pytest.raises(ConversionError, match="'zeros' is damaged"):
        unpack(path, target, Limits())
    assert sum(file.stat().st_size for file in target.rglob('*')) <= 9


def test_masks_that_compress_well_are_not_taken_for_bombs(zip_of, target):
    unpack(zip_of(mask=bytes(1 << 20)), target, Limits())
    assert files_below(target) == {'mask': bytes(1 << 20)}


def test_encrypted_members_are_refused(tmp_path, zip_of, target):
    path = zip_of(secret=b'x')
    content = bytearray(path.read_bytes())
    content[content.find(b'PK\1\2') + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(ConversionError, match="'secret' is encrypted"):
        unpack(path, target, Limits())


@pytest.mark.reliability('security', 'archives that name a member twice')
def test_members_that_appear_twice_are_refused(tmp_path, target):
    path = tmp_path / 'data.tar'
    with tarfile.open(path, 'w') as file:
        add_tar(file, 'a.jpg', b'1')
        add_tar(file, './a.jpg', b'2')
    with pytest.raises(ConversionError, match=r"'./a.jpg' appears twice"):
        unpack(path, target, Limits())


@pytest.mark.parametrize('kind', ['zip', 'tar.gz'])
def test_damaged_archives_are_refused_by_name(tmp_path, target, kind):
    path = tmp_path / f'data.{kind}'
    content = os.urandom(100_000)
    if kind == 'zip':
        with zipfile.ZipFile(path, 'w') as file:
            file.writestr('a.jpg', content)
        damaged = bytearray(path.read_bytes())
        damaged[50_000] ^= 255
        path.write_bytes(damaged)
    else:
        with tarfile.open(path, 'w:gz') as file:
            add_tar(file, 'a.jpg', content)
        path.write_bytes(path.read_bytes()[:60_000])
    with pytest.raises(ConversionError, match=r"data.*'a.jpg' is damaged"):
        unpack(path, target, Limits())


@pytest.mark.reliability('security', 'tar archives whose headers would fill the memory')
@pytest.mark.parametrize(
    'kind', [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME]
)
@pytest.mark.parametrize('first', [True, False])
def test_oversized_headers_are_refused_without_being_read(
    tmp_path, target, kind, first
):
    path = tmp_path / 'bomb.tar.gz'
    with tarfile.open(path, 'w:gz') as file:
        if not first:
            add_tar(file, 'a.jpg', b'pixels')
        add_tar(file, 'name', bytes(2 << 20), type=kind)
        add_tar(file, 'b.jpg', b'pixels')
    with pytest.raises(ConversionError, match='a header of 2097152 bytes'):
        unpack(path, target, Limits())


def test_long_member_names_are_accepted(tmp_path, target):
    name = '/'.join(['folder' * 30] * 3)
    for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path = tmp_path / 'data.tar'
        with tarfile.open(path, 'w', format=kind) as file:
            add_tar(file, f'{kind}/{name}', b'pixels')
        assert is_archive(path)
        unpack(path, target, Limits())
    assert set(files_below(target)) == {f'{kind}/{name}' for kind in (1, 2)}


@pytest.mark.reliability('security', 'zip members with a NUL in their name')
def test_a_member_name_is_cut_at_a_nul_and_leaves_no_other_file(tmp_path, target):
    path = tmp_path / 'data.zip'
    with zipfile.ZipFile(path, 'w') as file:
        file.writestr('a.jpgX.exe', b'pixels')
    path.write_bytes(path.read_bytes().replace(b'a.jpgX.exe', b'a.jpg\0.exe'))
    unpack(path, target, Limits())
    assert files_below(target) == {'a.jpg': b'pixels'}


@pytest.mark.reliability('security', 'sparse tar members that claim terabytes')
def test_sparse_members_count_with_their_unpacked_size(tmp_path, target):
    path = tmp_path / 'data.tar'
    fields = {'GNU.sparse.map': '0,0', 'GNU.sparse.size': str(1 << 42)}
    with tarfile.open(path, 'w', format=tarfile.PAX_FORMAT) as file:
        add_tar(file, 'hole.jpg', b'', pax_headers=fields)
    limits = Limits(ratio_from_bytes=4 << 20, ratio=10)
    with pytest.raises(ConversionError, match=r"'hole.jpg' brings .* above 10 times"):
        unpack(path, target, limits)
