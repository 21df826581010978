"""Draws the two figures of docs/method.md.

    python docs/figures/method_figures.py [FOLDER]

FOLDER is docs/images by default.
"""

import sys
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle

# Letters as outlines, and the same file from the same drawing.
matplotlib.rcParams.update({'svg.hashsalt': 'mcdrl', 'mathtext.fontset': 'dejavusans'})

# Okabe and Ito's colours, pale: what is given, trained, fixed, and a loss.
GIVEN, TRAINED, FIXED, LOSS = '#f2f2f2', '#cfe6f5', '#fde9c4', '#f8d5c2'
INK = '#222222'


def box(axes: Axes, x: float, y: float, size: tuple, words: str, color: str) -> None:
    """A box around (x, y)."""
    width, height = size
    corner = (x - width / 2, y - height / 2)
    style = 'round,pad=0,rounding_size=0.12'
    patch = FancyBboxPatch(
        corner, width, height, boxstyle=style, facecolor=color, edgecolor=INK
    )
    axes.add_patch(patch)
    axes.text(x, y, words, ha='center', va='center', fontsize=9, linespacing=1.35)


def arrow(
    axes: Axes, start: tuple, end: tuple, words: str = '', **look: object
) -> None:
    """An arrow from one point to another, with words beside its middle."""
    style = dict(arrowstyle='-|>', color=INK, linewidth=1.1, mutation_scale=11)
    shift = look.pop('shift', (0.0, 0.14))
    axes.annotate(
        '', end, start, arrowprops={**style, 'shrinkA': 0, 'shrinkB': 0, **look}
    )
    x, y = (start[0] + end[0]) / 2 + shift[0], (start[1] + end[1]) / 2 + shift[1]
    axes.text(x, y, words, ha='center', va='center', fontsize=8.5, color=INK)


def plain_axes(figure: Figure, width: float, height: float) -> Axes:
    """Axes in inches over the whole figure."""
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return axes


def data_flow() -> Figure:
    """From image and words to logits and losses, with the names in the code."""
    figure = Figure(figsize=(11, 5.1))
    axes = plain_axes(figure, 11, 5.1)
    top, middle, bottom = 4.45, 2.65, 0.5

    box(axes, 1.05, top, (1.6, 0.95), '2  prompt set\nclasses, conditions', GIVEN)
    box(axes, 3.5, top, (2.0, 0.95), 'CLIP text tower\nonce, before training', FIXED)
    box(
        axes,
        6.75,
        top,
        (2.7, 0.95),
        'ConfounderDictionary\nbuffers of the model',
        FIXED,
    )
    arrow(axes, (1.85, top), (2.5, top))
    arrow(axes, (4.5, top), (5.4, top))

    box(axes, 1.05, middle, (1.5, 0.95), 'image', GIVEN)
    tower = 'backbone with CLIP\nimage tower'
    box(axes, 3.0, middle, (1.8, 0.95), tower, TRAINED)
    box(axes, 5.35, middle, (1.8, 0.95), '1  MTRS\nCLIPRegionSelector', FIXED)
    box(
        axes,
        7.75,
        middle,
        (1.8, 0.95),
        '3  CDRL\nCausalIntervention\ngate $g$',
        TRAINED,
    )
    box(axes, 9.95, middle, (1.5, 0.95), 'predictor H\nany decode head', TRAINED)
    arrow(axes, (1.8, middle), (2.1, middle))
    arrow(axes, (3.9, middle), (4.45, middle), '$C$')
    arrow(axes, (6.25, middle), (6.85, middle), '$F$')
    arrow(axes, (8.65, middle), (9.2, middle), '$F_{ca}$')

    arrow(axes, (5.9, top - 0.475), (5.35, middle + 0.475), '$e_k$', shift=(-0.2, 0.05))
    words = '$Z,\\ P(z)$'
    arrow(axes, (7.4, top - 0.475), (7.75, middle + 0.475), words, shift=(0.42, 0.05))

    # Positions that were not kept go around the intervention.
    low = 1.85
    axes.plot([5.35, 5.35, 9.7], [middle - 0.475, low, low], '--', color=INK, lw=1.1)
    arrow(axes, (9.7, low), (9.7, middle - 0.475), linestyle='dashed')
    axes.text(5.45, low - 0.17, 'positions not kept', va='center', fontsize=8.5)

    box(axes, 3.0, bottom, (2.2, 0.7), '$L_{contrast}$, with $e_k$', LOSS)
    words = '$L_{causal}$, with $t_{km}$\nonce the gate is open'
    box(axes, 7.75, bottom, (2.2, 0.7), words, LOSS)
    box(axes, 9.95, bottom, (1.5, 0.7), '$L_{seg}$', LOSS)
    words = 'image\nembedding'
    arrow(axes, (3.0, middle - 0.475), (3.0, bottom + 0.35), words, shift=(-0.5, 0))
    axes.text(7.83, 1.5, 'Pool($F_{ca}$)', va='center', fontsize=8.5, color=INK)
    arrow(axes, (7.75, middle - 0.475), (7.75, bottom + 0.35))
    words = 'logits'
    arrow(axes, (10.25, middle - 0.475), (10.25, bottom + 0.35), words, shift=(0.33, 0))

    kinds = {'given': GIVEN, 'fixed': FIXED, 'trained': TRAINED, 'loss': LOSS}
    for number, (name, color) in enumerate(kinds.items()):
        height = top + 0.42 - 0.28 * number
        axes.add_patch(Rectangle((9.2, height - 0.09), 0.3, 0.18, fc=color, ec=INK))
        axes.text(9.6, height, name, va='center', fontsize=8.5)
    return figure


def causal_graph() -> Figure:
    """The graph with confounding, and the graph under do(F)."""
    figure = Figure(figsize=(8.4, 3.2))
    axes = plain_axes(figure, 8.4, 3.2)
    for left, cut in ((0.0, False), (4.2, True)):
        z, f, y = (left + 2.1, 2.35), (left + 0.8, 0.75), (left + 3.4, 0.75)
        for (x, height), name in ((z, '$Z$'), (f, '$F$'), (y, '$Y$')):
            shown = FIXED if name == '$Z$' else TRAINED
            axes.add_patch(Circle((x, height), 0.3, facecolor=shown, edgecolor=INK))
            axes.text(x, height, name, ha='center', va='center', fontsize=13)
        style = dict(shrinkA=23, shrinkB=23)
        faded = dict(color='#bbbbbb', linestyle='dotted') if cut else {}
        arrow(axes, z, f, **style, **faded)
        arrow(axes, z, y, **style)
        arrow(axes, f, y, **style)
        title = '$P(Y\\,|\\,do(F))$' if cut else '$P(Y\\,|\\,F)$'
        axes.text(left + 2.1, 2.98, title, ha='center', va='center', fontsize=13)
        words = 'averaged over P(z)' if cut else 'imaging condition'
        axes.text(z[0] + 0.42, z[1] + 0.02, words, va='center', fontsize=9)
        axes.text(f[0], 0.22, 'features', ha='center', va='center', fontsize=9)
        axes.text(y[0], 0.22, 'lesion mask', ha='center', va='center', fontsize=9)
        if cut:
            middle = ((z[0] + f[0]) / 2, (z[1] + f[1]) / 2)
            axes.text(*middle, 'x', ha='center', va='center', fontsize=18)
    axes.plot([4.2, 4.2], [0.2, 3.0], color='#cccccc', linewidth=0.8)
    return figure


def main(folder: Path) -> None:
    """Draw both."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in (('data_flow', data_flow()), ('causal_graph', causal_graph())):
        path = folder / f'{name}.svg'
        figure.savefig(path, metadata={'Date': None})
        print(path)


if __name__ == '__main__':
    images = Path(__file__).resolve().parents[1] / 'images'
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else images)
