import pytest

from mcdrl_lab.errors import ProtocolError
from mcdrl_lab.results.evidence.endosim_classes import with_lesion_classes
from mcdrl_lab.simulation.simulated_sites import Benchmark

SITE = 'endosim_c'


def true_class(benchmark, number):
    lesion = benchmark.scene(SITE, number).lesion
    return None if lesion is None else lesion.name


def record_of(make_record, benchmark, count=30):
    """A run whose images have a lesion where the data set has one."""
    images = [
        dict(
            image=f'images/{number:05d}.png',
            sequence=None,
            has_lesion=true_class(benchmark, number) is not None,
            dice=0.5,
        )
        for number in range(count)
    ]
    return make_record('a', SITE, images=images)


@pytest.mark.parametrize('spurious', [0.0, 1.0])
def test_classes_are_those_of_the_dataset_at_any_strength(make_record, spurious):
    benchmark = Benchmark(spurious=spurious, seed=7)
    (filled,) = with_lesion_classes([record_of(make_record, benchmark)], 7)
    found = {}
    for number, image in enumerate(filled.images):
        expected = true_class(benchmark, number)
        assert image.get('lesion_classes', [None]) == [expected]
        found[expected] = True
    assert len(found) == 6


def test_lesion_classes_already_in_a_record_are_kept(make_record):
    record = record_of(make_record, Benchmark(seed=7))
    first = next(image for image in record.images if image['has_lesion'])
    first['lesion_classes'] = ['other']
    (filled,) = with_lesion_classes([record], 7)
    assert filled.images[record.images.index(first)] == first


def test_records_of_another_dataset_are_refused(make_record):
    record = record_of(make_record, Benchmark(seed=7))
    with pytest.raises(ProtocolError, match='not in EndoSim with --seed 8'):
        with_lesion_classes([record], 8)
    other = make_record('a', 'polypgen_c1', dice=[0.5])
    other.images[0].pop('lesion_classes')
    with pytest.raises(
        ProtocolError, match='a, polypgen_c1, i0: not an image of EndoSim'
    ):
        with_lesion_classes([other], 7)
