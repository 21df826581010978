from dataclasses import replace
from pathlib import Path

import pytest
from mmengine import Config

from mcdrl_lab.simulation.sampling import sample_scene
from mcdrl_lab.simulation.scene import (
    CONFOUNDER_PROMPTS,
    CONFOUNDERS,
    LESION_CLASSES,
    MASK_VALUES,
    Confounders,
    Lesion,
    SceneError,
    do,
)


def test_confounders_and_lesions_are_those_of_the_endoscopy_prompts(repo_root: Path):
    path = repo_root / 'configs/_base_/prompts/endoscopy.py'
    prompts = Config.fromfile(path).prompts
    words = [w for family in prompts.confounders.values() for w in family]
    assert list(CONFOUNDER_PROMPTS.values()) == words
    assert list(LESION_CLASSES) == prompts.classes
    assert [MASK_VALUES[v] for v in range(6)] == ['background', *prompts.classes]


def test_confounders_list_their_strengths_in_the_order_of_the_prompts():
    confounders = Confounders(blur=0.1, nbi=0.6, reflection=1)
    assert [name for name, _ in confounders.items()] == list(CONFOUNDERS)
    assert dict(confounders.items())['nbi'] == 0.6
    assert sum(s for _, s in confounders.items()) == pytest.approx(1.7)


@pytest.mark.parametrize('strength', [-0.01, 1.01, float('nan')])
def test_a_strength_outside_0_to_1_is_refused(strength):
    with pytest.raises(SceneError, match='blur='):
        Confounders(blur=strength)


def test_an_unknown_lesion_class_is_refused():
    with pytest.raises(SceneError, match='ulcer'):
        Lesion('ulcer', 0.1, 1, 0, 1)


def test_do_sets_the_named_confounders_and_nothing_else():
    scene = sample_scene(3, 5)
    other = do(scene, blood=0.75, far=0.5)
    assert (other.confounders.blood, other.confounders.far) == (0.75, 0.5)
    assert do(other, blood=scene.confounders.blood, far=scene.confounders.far) == scene
    assert replace(other, confounders=scene.confounders) == scene


def test_do_refuses_names_that_are_not_confounders():
    with pytest.raises(SceneError, match='lesion'):
        do(sample_scene(0, 0), lesion=1)
