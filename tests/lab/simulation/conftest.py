from dataclasses import replace

import cv2
import pytest

from mcdrl_lab.simulation.sampling import sample_scene
from mcdrl_lab.simulation.scene import Confounders

cv2.setNumThreads(1)


@pytest.fixture(scope='session')
def plain_scenes():
    """Thirty scenes without any confounder: lesions of all classes and healthy ones."""
    scenes = [sample_scene(seed=11, index=index) for index in range(30)]
    names = {s.lesion and s.lesion.name for s in scenes}
    assert len(names) == 6
    return [replace(scene, confounders=Confounders()) for scene in scenes]
