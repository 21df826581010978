"""The variables of EndoSim: what a scene consists of before anything is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields, replace

LESION_CLASSES = ('polyp', 'tumour', 'inflammation', 'nodule', 'cyst')
"""Lesion classes; a class's value in a mask is its position here, from 1."""

MASK_VALUES = {0: 'background', **dict(enumerate(LESION_CLASSES, start=1))}
"""Value in a mask -> meaning, as ``EndoscopySiteDataset`` takes it."""

CONFOUNDER_PROMPTS = {
    'blur': 'blur',
    'artifacts': 'artifacts',
    'bright': 'bright lighting',
    'dark': 'dark lighting',
    'uneven': 'uneven lighting',
    'nbi': 'narrow-band imaging',
    'white_light': 'white light imaging',
    'near': 'near distance',
    'far': 'far distance',
    'mucus': 'mucus',
    'blood': 'blood',
    'reflection': 'reflection',
}
"""Confounder -> its words in the prompt set for endoscopy, in that set's order."""

CONFOUNDERS = tuple(CONFOUNDER_PROMPTS)
SURFACE_CONFOUNDERS = ('mucus', 'blood', 'reflection')
EXCLUSIVE = (('bright', 'dark'), ('nbi', 'white_light'), ('near', 'far'))
"""Pairs of confounders that never occur together in a sampled scene."""


class SceneError(ValueError):
    """A variable's name or value that does not exist; the message names it."""


@dataclass(frozen=True)
class Confounders:
    """How strongly each of the twelve imaging conditions holds, from 0 to 1.

    Args:
        blur: Defocus and motion.
        artifacts: Interlacing, colour fringes and compression blocks.
        bright: Overexposure.
        dark: Underexposure, with sensor noise.
        uneven: Light from one side, the other in shadow.
        nbi: Narrow-band imaging.
        white_light: Warm white light with enhanced colours.
        near: The camera close to the tissue.
        far: The camera far from the tissue.
        mucus: Whitish slime with bubbles on the tissue.
        blood: Blood on the tissue.
        reflection: Highlights on wet tissue.

    Raises:
        SceneError: A strength outside [0, 1].
    """

    blur: float = 0.0
    artifacts: float = 0.0
    bright: float = 0.0
    dark: float = 0.0
    uneven: float = 0.0
    nbi: float = 0.0
    white_light: float = 0.0
    near: float = 0.0
    far: float = 0.0
    mucus: float = 0.0
    blood: float = 0.0
    reflection: float = 0.0

    def __post_init__(self) -> None:
        for name, strength in self.items():
            if not 0 <= strength <= 1:
                raise SceneError(f'{name}={strength!r}: expected a strength in [0, 1].')

    def items(self) -> Iterator[tuple[str, float]]:
        """Names and strengths, in the order of the prompt set."""
        return zip(CONFOUNDERS, astuple(self), strict=True)


@dataclass(frozen=True)
class Anatomy:
    """Healthy tissue. Lengths are in image widths at medium distance.

    Args:
        lumen_x: Centre of the lumen, from the left edge; may lie outside the image.
        lumen_y: The same, from the top edge.
        lumen_radius: Radius of this dark opening.
        fold_rate: Folds of the wall per doubling of the distance to the lumen.
        fold_depth: How dark the grooves between folds are, from 0 to 1.
        vessels: How clearly vessels shine through, from 0 to 1.
        texture: How uneven the surface is, from 0 to 1.
        tint: Colour of the mucosa, from 0 (pale pink) to 1 (orange brown).
        light_angle: Direction of the lamp from the lens, in radians.
    """

    lumen_x: float
    lumen_y: float
    lumen_radius: float
    fold_rate: float
    fold_depth: float
    vessels: float
    texture: float
    tint: float
    light_angle: float


@dataclass(frozen=True)
class Lesion:
    """A lesion, centred on the scene's focus.

    Args:
        name: One of ``LESION_CLASSES``.
        radius: Radius of a disc of about its size, in image widths at medium distance.
        aspect: Length divided by breadth, 1 or more.
        angle: Angle of its long axis, in radians.
        contrast: How much its colour differs from the mucosa, from 0 to 1.

    Raises:
        SceneError: Another class.
    """

    name: str
    radius: float
    aspect: float
    angle: float
    contrast: float

    def __post_init__(self) -> None:
        if self.name not in LESION_CLASSES:
            raise SceneError(
                f'lesion {self.name!r}: expected one of {list(LESION_CLASSES)}.'
            )


@dataclass(frozen=True)
class Placement:
    """Where a surface confounder gathers in the image.

    Args:
        x: From the left edge, in image widths, independent of the camera's distance.
        y: From the top edge.
        on_lesion: Whether it was put on the middle of the lesion.
    """

    x: float
    y: float
    on_lesion: bool


@dataclass(frozen=True)
class Scene:
    """All variables that determine an image and its mask.

    Args:
        anatomy: Healthy tissue.
        lesion: The lesion; None for a healthy scene.
        confounders: Imaging conditions.
        focus_x: Point that the camera looks at and moves towards, from the left edge,
            in image widths at medium distance. The lesion lies there.
        focus_y: The same, from the top edge.
        placements: Surface confounder -> where it lies if it is present.
        frame: Shape of the field of view on its black background: ``'full'``,
            ``'octagon'`` or ``'circle'``.
        direction: Direction of motion and of uneven light, in radians.
        pattern: Seed of all details without a variable: the course of vessels, the
            grain of the mucosa, the outline of the lesion, the spots of mucus.
    """

    anatomy: Anatomy
    lesion: Lesion | None
    confounders: Confounders
    focus_x: float
    focus_y: float
    placements: Mapping[str, Placement]
    frame: str
    direction: float
    pattern: int


def do(scene: Scene, **strengths: float) -> Scene:
    """Intervene: set confounders and leave every other variable as it is.

    Args:
        scene: The scene.
        **strengths: Confounder -> strength in [0, 1].

    Returns:
        The same scene under the other conditions.

    Raises:
        SceneError: Not a confounder, or a strength outside [0, 1].
    """
    unknown = sorted(set(strengths) - {field.name for field in fields(Confounders)})
    if unknown:
        raise SceneError(
            f'{unknown}: not confounders; expected some of {list(CONFOUNDERS)}.'
        )
    return replace(scene, confounders=replace(scene.confounders, **strengths))
