import numpy as np
from matplotlib.figure import Figure

from mcdrl_common.figure_files import figure_array


def red_figure():
    return Figure(figsize=(2, 1), facecolor='red')


def test_the_array_is_in_rgb_order_and_has_the_size_of_the_figure():
    array = figure_array(red_figure(), dpi=50)
    assert array.shape == (50, 100, 3)
    assert array.dtype == np.uint8
    assert (array == [255, 0, 0]).all()
