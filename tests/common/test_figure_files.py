import numpy as np
from matplotlib.figure import Figure

from mcdrl_common.figure_files import figure_array


def red_figure():
    return Figure(figsize=(2, 1), facecolor='red')


def test_array_is_red_first_and_of_the_figures_size():
    array = figure_array(red_figure(), dpi=50)
    assert array.shape == (50, 100, 3)
    assert array.dtype == np.uint8
    assert (array == [255, 0, 0]).all()
