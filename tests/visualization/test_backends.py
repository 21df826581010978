import numpy as np
import pytest
from mmengine.visualization import LocalVisBackend, Visualizer
from mmengine.visualization.vis_backend import MLflowVisBackend

from mcdrl_mmseg.visualization.backends import add_picture


class RecordingMLflow(MLflowVisBackend):
    """MLflow's backend without MLflow."""

    def __init__(self):
        self.names = []

    def add_image(self, name, image, step=0, **kwargs):
        self.names.append(name)


@pytest.fixture
def visualizer(tmp_path):
    made = Visualizer(name='pictures')
    made._vis_backends = dict(
        local=LocalVisBackend(str(tmp_path)), mlflow=RecordingMLflow()
    )
    return made


def test_mlflow_and_local_pictures_have_the_step_in_their_file_names(
    visualizer, tmp_path
):
    picture = np.full((4, 5, 3), 90, np.uint8)
    for step in (3, 6):
        add_picture(visualizer, 'mcdrl_attention', picture, step)
    names = visualizer._vis_backends['mlflow'].names
    assert names == ['mcdrl_attention_3.png', 'mcdrl_attention_6.png']
    local = sorted(path.name for path in tmp_path.rglob('*.png'))
    assert local == ['mcdrl_attention_3.png', 'mcdrl_attention_6.png']
