"""Converts a site's good pairs into a folder, and lists the problems of the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mcdrl_common.classes_file import write_classes
from mcdrl_common.findings import FileProblem, Finding
from mcdrl_common.image_copies import Fingerprint, fingerprint
from mcdrl_common.mask_format import LOSSY_SUFFIXES, is_lesion
from mcdrl_common.tracked import tracked
from mcdrl_lab.data.site_index import COLUMNS

from .decodings import FAINT_MASK, OTHER_COLOURS, Decoded
from .image_reading import ReadImage, read_image
from .input_files import FileTree, is_image_name
from .position_box import has_position_box
from .source import FoundSite, Sample
from .unique_names import unique_names


@dataclass(eq=False)
class BuiltSite:
    """A converted site, not yet moved into the output folder.

    Args:
        found: The site as found in the input.
        folder: Where its images and masks are.
        rows: Index rows of the good pairs.
        problems: Files that cannot be used.
        notes: What else is worth reporting.
        fingerprints: Converted image -> fingerprint.
        position_boxes: Converted images with a green position box.
        colours: Palette index of masks -> colour -> first mask with this colour.
        report: Its report.
    """

    found: FoundSite
    folder: Path
    rows: list[dict[str, str]] = field(default_factory=list)
    problems: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    fingerprints: dict[str, Fingerprint] = field(default_factory=dict)
    position_boxes: list[str] = field(default_factory=list)
    colours: dict[int, dict[str, str]] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)


def build_site(found: FoundSite, tree: FileTree, folder: Path) -> BuiltSite:
    """Convert a site.

    Args:
        found: Its images and masks.
        tree: All files.
        folder: Where to write; made here.

    Returns:
        The site, without a report.
    """
    for part in ('images', 'masks'):
        (folder / part).mkdir(parents=True)
    built = BuiltSite(
        found, folder, problems=list(found.problems), notes=list(found.notes)
    )
    names = unique_names({sample.image: sample.name for sample in found.samples})
    for sample in tracked(found.samples, found.site):
        _build_pair(built, sample, names[sample.image], tree)
    _refuse_faint_masks(built)
    _note_other_colours(built)
    built.rows.sort(key=lambda row: row['image'])
    if found.indexed:
        write_classes(folder, found.mask_values())
    return built


def _build_pair(built: BuiltSite, sample: Sample, name: str, tree: FileTree) -> None:
    image = decoded = None
    try:
        image = read_image(tree.path(sample.image))
    except FileProblem as problem:
        built.problems.append(problem.of(sample.image))
    try:
        decoded = sample.mask.decode(tree, image.size if image else None)
    except FileProblem as problem:
        built.problems.append(problem.of(_origin(sample)))
    if image is None or decoded is None:
        return
    _note(built, sample, name, image, decoded)
    for index, colour in decoded.colours.items():
        built.colours.setdefault(index, {}).setdefault(colour, _origin(sample))
    site = built.found.site
    image_file = f'images/{name}{image.suffix}'
    mask_file = f'masks/{name}.png'
    image.write(built.folder / image_file)
    _write_mask(decoded.labels, built.found.indexed, built.folder / mask_file)
    built.fingerprints[f'{site}/{image_file}'] = fingerprint(image.pixels)
    if has_position_box(image.pixels):
        built.position_boxes.append(f'{site}/{image_file}')
    lesion = is_lesion(decoded.labels)
    present = np.unique(decoded.labels[lesion]).tolist()
    values = (
        site,
        f'{site}/{image_file}',
        f'{site}/{mask_file}',
        sample.sequence,
        sample.patient,
        ';'.join(built.found.lesion_classes[label - 1] for label in present),
        f'{lesion.mean():.6f}',
        str(image.size[0]),
        str(image.size[1]),
        sample.image,
        sample.mask.source,
    )
    built.rows.append(dict(zip(COLUMNS, values, strict=True)))


def _refuse_faint_masks(built: BuiltSite) -> None:
    """Leave out nearly empty JPEG masks, unless another JPEG mask has a lesion.

    Masks of 0 and 1 saved as JPEG are nearly empty. If other JPEG masks have a lesion,
    a nearly empty one is an empty mask with compression noise.
    """
    faint = {note.file for note in built.notes if note.kind == FAINT_MASK}
    lossy = [r for r in built.rows if r['source_mask'].lower().endswith(LOSSY_SUFFIXES)]
    if not faint or any(float(row['foreground']) for row in lossy):
        return
    built.problems += [
        Finding(
            'unexpected values',
            name,
            'a nearly empty JPEG, as all JPEG masks of this site: masks of 0 and 1 do '
            'not survive JPEG. Export them as PNG',
        )
        for name in sorted(faint)
    ]
    root = built.folder.parent
    for row in [row for row in built.rows if row['source_mask'] in faint]:
        built.rows.remove(row)
        del built.fingerprints[row['image']]
        for key in ('image', 'mask'):
            (root / row[key]).unlink()
    built.position_boxes = [b for b in built.position_boxes if b in built.fingerprints]


def _note_other_colours(built: BuiltSite) -> None:
    """Note palette masks in which one index has several colours.

    If a program wrote a separate palette into each file, the same index means different
    classes in different files.
    """
    for index, files in sorted(built.colours.items()):
        if len(files) < 2:
            continue
        (colour, first), *others = files.items()
        for other, file in others:
            detail = (
                f'index {index} of its palette is the colour {other}, in {first} it is '
                f'{colour}: if colours stand for classes, use --mask-values '
                'R,G,B=CLASS'
            )
            built.notes.append(Finding(OTHER_COLOURS, file, detail))


def _note(
    built: BuiltSite, sample: Sample, name: str, image: ReadImage, decoded: Decoded
) -> None:
    """Note what was changed or is unusual."""
    origin = _origin(sample)
    built.notes += [Finding(kind, origin, text) for kind, text in decoded.notes]
    if name != sample.name:
        detail = f'named {name}, as {sample.name!r} is taken or not a safe file name'
        built.notes.append(Finding('renamed', sample.image, detail))
    ending = Path(sample.image).suffix
    usual = '.jpg' if ending.lower() == '.jpeg' else ending.lower()
    if image.copied and usual != image.suffix:
        detail = f'its content fits the ending {image.suffix}, which it has now'
        built.notes.append(Finding('wrong ending', sample.image, detail))
    elif image.copied and ending != image.suffix:
        detail = f'ending {ending} written as {image.suffix}'
        built.notes.append(Finding('ending', sample.image, detail))


def _write_mask(labels: np.ndarray, indexed: bool, target: Path) -> None:
    values = labels if indexed else np.where(labels, np.uint8(255), np.uint8(0))
    Image.fromarray(values).save(target, format='PNG')


def _origin(sample: Sample) -> str:
    """File to name in messages about a mask; the image if an annotation file has it."""
    source = sample.mask.source
    return source if is_image_name(source) else sample.image
