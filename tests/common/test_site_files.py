from mcdrl_common.site_files import find_site_files


def test_files_are_paired_by_name_and_unpaired_or_ambiguous_ones_are_listed(tmp_path):
    images, masks = tmp_path / 'images', tmp_path / 'masks'
    for path in (
        *(images / name for name in ('b.jpg', 'a.PNG', 'lone.jpg', 'two.jpg', 'x.txt')),
        *(
            masks / name
            for name in ('a.png', 'b.tif', 'two.png', 'two.bmp', 'rest.png')
        ),
    ):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = find_site_files(images, masks)
    assert list(found.pairs.items()) == [
        (images / 'a.PNG', masks / 'a.png'),
        (images / 'b.jpg', masks / 'b.tif'),
        (images / 'two.jpg', masks / 'two.png'),
    ]
    assert found.without_mask == [images / 'lone.jpg']
    assert found.without_image == [masks / 'rest.png']
    assert found.shared == [images / 'two.jpg', masks / 'two.bmp', masks / 'two.png']


def test_missing_folders_give_no_files(tmp_path):
    found = find_site_files(tmp_path / 'no', tmp_path / 'where')
    assert not (found.pairs or found.without_mask or found.without_image)
