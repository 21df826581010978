import hashlib
import posixpath

import pytest

from mcdrl_lab.plans.hashing import config_hash, data_hash, differing_keys, list_files


def test_config_hash_does_not_depend_on_the_order_of_keys():
    one = {'model': {'type': 'A', 'width': 3}, 'seed': 1}
    other = {'seed': 1, 'model': {'width': 3, 'type': 'A'}}
    assert config_hash(one) == config_hash(other)


@pytest.mark.parametrize(
    'changed',
    [
        {'model': {'width': 4}, 'steps': [1, 2]},
        {'model': {'width': 3}, 'steps': [2, 1]},
        {'model': {'width': 3.5}, 'steps': [1, 2]},
        {'model': {'width': 3}},
        {'model': {'width': 3, 'extra': None}, 'steps': [1, 2]},
    ],
)
def test_config_hash_changes_with_any_value(changed):
    assert config_hash(changed) != config_hash({'model': {'width': 3}, 'steps': [1, 2]})


def test_config_hash_ignores_work_dir_and_data_root_at_any_depth():
    one = {'work_dir': 'x', 'loader': {'dataset': {'data_root': '/a', 'n': 1}}}
    other = {'work_dir': 'y', 'loader': {'dataset': {'data_root': '/b', 'n': 1}}}
    assert config_hash(one) == config_hash(other)


def test_config_hash_is_the_sha256_of_plain_sorted_json():
    # It contains no id, address or salted hash: it is the same in every process.
    text = b'{"a":[1,"x"],"f":"posixpath.join","s":["a","b"]}'
    config = {'s': {'b', 'a'}, 'f': posixpath.join, 'a': (1, 'x')}
    assert config_hash(config) == hashlib.sha256(text).hexdigest()


def test_differing_keys_are_named_with_their_dotted_path():
    one = {'a': {'b': 1, 'c': [1]}, 'd': 0, 'n': None}
    other = {'a': {'b': 2, 'c': [1]}, 'd': 0}
    assert differing_keys(one, other) == ['a.b', 'n']


def test_data_hash_depends_on_names_and_sizes_and_not_on_order():
    files = [('a/1.png', 10), ('a/2.png', 20)]
    assert data_hash(files) == data_hash(reversed(files))
    assert data_hash(files) != data_hash([('a/1.png', 10), ('a/2.png', 21)])
    assert data_hash(files) != data_hash([('a/1.png', 10), ('b/2.png', 20)])
    assert data_hash(files) != data_hash(files[:1])


def test_list_files_gives_relative_names_and_sizes(tmp_path):
    (tmp_path / 's1/images').mkdir(parents=True)
    (tmp_path / 's2').mkdir()
    (tmp_path / 's1/images/a.jpg').write_bytes(b'123')
    (tmp_path / 's2/b.png').write_bytes(b'1')
    assert list_files(tmp_path, ['s1']) == [('s1/images/a.jpg', 3)]
    assert list_files(tmp_path, ['s2', 's1', 's1']) == [
        ('s1/images/a.jpg', 3),
        ('s2/b.png', 1),
    ]
