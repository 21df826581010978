import pytest

from mcdrl_lab.simulation.scene import CONFOUNDER_PROMPTS
from mcdrl_lab.simulation.simulated_sites import Benchmark, write_benchmark
from mcdrl_lab.simulation.truth import true_confounders

SMALL = Benchmark(images_per_site=6, size=48, spurious=0.8, seed=3)


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp('truth') / 'endosim'
    write_benchmark(SMALL, folder)
    return folder


def test_confounders_of_a_written_image_are_those_of_its_scene(written):
    for number in range(SMALL.images_per_site):
        scene = SMALL.scene('endosim_c', number)
        expected = tuple(
            CONFOUNDER_PROMPTS[name]
            for name, strength in scene.confounders.items()
            if strength > 0
        )
        image = written / f'endosim_c/images/{number:05d}.png'
        assert true_confounders(image) == expected


def test_other_images_have_no_known_confounders(written, tmp_path):
    assert true_confounders(tmp_path / 'photo.png') is None
    assert true_confounders(written / 'endosim_c/images/of_another_camera.png') is None


def test_a_table_that_was_rewritten_is_read_again(tmp_path):
    table = tmp_path / 'confounders.csv'
    image = tmp_path / 'site/images/0.png'
    header = 'image,' + ','.join(CONFOUNDER_PROMPTS) + '\n'
    zeros = ','.join('0' for _ in CONFOUNDER_PROMPTS)
    table.write_text(header + f'site/images/0.png,{zeros}\n')
    assert true_confounders(image) == ()
    ones = ','.join('0.5' for _ in CONFOUNDER_PROMPTS)
    table.write_text(header + f'site/images/0.png,{ones}\n')
    assert true_confounders(image) == tuple(CONFOUNDER_PROMPTS.values())
