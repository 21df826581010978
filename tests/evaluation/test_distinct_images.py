from mcdrl_mmseg.evaluation.distinct_images import ImageResult, distinct_results


def result(path, site='c1', mask=None, **record):
    name = path.rsplit('/', 1)[-1] if path else ''
    return ImageResult(site, path, mask, dict(site=site, image=name, **record))


def names(results):
    return [(r.record['site'], r.record['image']) for r in results]


def test_image_repeated_by_the_sampler_is_counted_once():
    a, b, c = (result(f'/d/{name}') for name in 'abc')
    results = distinct_results([[a, c], [b, a]], size=3)
    assert names(results) == [('c1', 'a'), ('c1', 'b'), ('c1', 'c')]


def test_repeated_images_displace_no_other_image_in_any_order():
    # If the results were cut to the size of the dataset first, c would be lost.
    a, b, c = (result(f'/d/{name}') for name in 'abc')
    results = distinct_results([[a, a, b], [a, b, c]], size=3)
    assert names(results) == [('c1', 'a'), ('c1', 'b'), ('c1', 'c')]


def test_processes_may_have_seen_different_numbers_of_images():
    a, b, c = (result(f'/d/{name}') for name in 'abc')
    assert len(distinct_results([[a, b, c], []], size=3)) == 3


def test_the_same_file_name_at_two_sites_is_two_images():
    results = distinct_results([[result('/c2/a', 'c2'), result('/c1/a')]], size=2)
    assert names(results) == [('c1', 'a'), ('c2', 'a')]


def test_one_image_with_two_masks_is_counted_twice():
    twice = [result('/d/a', mask='/m/1'), result('/d/a', mask='/m/2')]
    assert len(distinct_results([twice], size=2)) == 2


def test_repeated_file_names_become_paths_below_the_common_folder():
    paths = ['/d/case1/1.png', '/d/case2/1.png', '/d/case2/2.png']
    results = distinct_results([[result(path) for path in paths]], size=3)
    assert [r.record['image'] for r in results] == [
        'case1/1.png',
        'case2/1.png',
        'case2/2.png',
    ]


def test_images_without_a_path_are_kept_up_to_the_size_of_the_dataset():
    parts = [
        [result(None, value=0), result(None, value=2)],
        [result(None, value=1), result(None, value=0)],
    ]
    results = distinct_results(parts, size=3)
    assert [r.record['value'] for r in results] == [0, 1, 2]
    assert [r.record['image'] for r in results] == [f'image_{i:06d}' for i in range(3)]


def test_no_images_give_no_results():
    assert distinct_results([[], []], size=4) == []
