import numpy as np
import pytest

from mcdrl_lab.results.probe import probe_accuracy, split_groups


def blobs(sizes, distance, seed=0, width=4):
    """Gaussian clouds along the first axis, one a class."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([f'c{i}' for i in range(len(sizes))], sizes)
    features = rng.normal(size=(len(labels), width))
    features[:, 0] += distance * np.repeat(np.arange(len(sizes)), sizes)
    return features, labels


def test_separable_classes_are_classified_without_error():
    features, labels = blobs((30, 20, 10), distance=50.0)
    score = probe_accuracy(features, labels)
    assert score.accuracy == 1.0
    assert score.chance == pytest.approx(1 / 3)
    assert score.folds == (1.0,) * 5


def test_noise_scores_chance_although_one_class_is_nine_times_as_large():
    features, labels = blobs((2700, 300), distance=0.0)
    score = probe_accuracy(features, labels)
    # The plain share of a probe that always gives the large class would be 0.9. The
    # standard error of the mean of two recalls of 0.5 is 0.015 here.
    assert score.accuracy == pytest.approx(0.5, abs=0.06)
    assert score.chance == 0.5


def test_rare_class_is_recognised_as_well_as_a_frequent_one():
    # 2 apart, and nine of ten are c0: without weights the boundary would lie such
    # that few of c1 are found, a balanced accuracy of 0.73.
    features, labels = blobs((2700, 300), distance=2.0, width=2)
    assert probe_accuracy(features, labels).accuracy == pytest.approx(0.8413, abs=0.03)


def test_two_clouds_reach_the_accuracy_of_the_optimal_boundary():
    # Unit normals 2 apart: Phi(1) = 0.8413 is the best that any boundary does.
    features, labels = blobs((2000, 2000), distance=2.0, width=2)
    score = probe_accuracy(features, labels)
    assert score.accuracy == pytest.approx(0.8413, abs=0.015)


def test_copies_of_one_frame_do_not_help_when_groups_are_kept_together():
    # Twenty sequences of ten identical frames each, labels drawn at random: only
    # a probe that has seen another frame of the sequence knows the label.
    rng = np.random.default_rng(0)
    sequence = np.repeat(np.arange(20), 10)
    features = rng.normal(size=(20, 64))[sequence]
    labels = (np.arange(20) % 2)[sequence]
    assert probe_accuracy(features, labels).accuracy == 1.0
    grouped = probe_accuracy(features, labels, sequence)
    assert grouped.accuracy < 0.75


def test_same_seed_gives_the_same_score_and_another_seed_another_split():
    features, labels = blobs((40, 40), distance=1.0)
    first = probe_accuracy(features, labels, seed=1)
    assert probe_accuracy(features, labels, seed=1) == first
    assert probe_accuracy(features, labels, seed=2).folds != first.folds


def test_there_are_no_more_folds_than_groups_of_the_rarest_class():
    features, labels = blobs((60, 6), distance=50.0)
    groups = [i // 10 for i in range(60)] + [6, 6, 7, 7, 8, 8]
    assert len(probe_accuracy(features, labels, groups).folds) == 3
    assert len(probe_accuracy(features, labels).folds) == 5


def test_constant_features_score_chance():
    labels = ['a', 'b'] * 20
    assert probe_accuracy(np.ones((40, 3)), labels).accuracy == 0.5


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(features=np.zeros(4)), r'features \(n, c\)'),
        (dict(labels=['a', 'b']), 'the same length, got 4, 2 and 2'),
        (dict(groups=[1, 2]), 'the same length, got 4, 4 and 2'),
        (dict(features=np.full((4, 2), np.nan)), 'NaN or infinite'),
        (dict(labels=['a'] * 4), r"two classes or more, got \['a'\]"),
        (dict(folds=1), 'folds=1 must be 2 or more'),
        (dict(labels=['a', 'a', 'a', 'b']), "class 'b' is in only one sample"),
        (dict(groups=[1, 2, 3, 3]), "class 'b' is in only one group"),
    ],
)
def test_unusable_input_is_refused_with_the_reason(changes, message):
    arguments = dict(features=np.eye(4), labels=['a', 'a', 'b', 'b'])
    arguments.update(changes)
    with pytest.raises(ValueError, match=message):
        probe_accuracy(**arguments)


def test_groups_are_sequences_where_known_and_contiguous_blocks_elsewhere():
    sites = ['a', 'a', 'a', 'a', 'b', 'b']
    sequences = [None, 'v1', None, None, 'v1', None]
    assert split_groups(sites, sequences, blocks=2) == [
        'a/block 0',
        'a/sequence v1',
        'a/block 0',
        'a/block 1',
        'b/sequence v1',
        'b/block 0',
    ]
