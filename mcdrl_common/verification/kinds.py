"""Kinds of findings about a data set, their severity and remedy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of finding.

    Args:
        remedy: What to do, in one sentence.
        is_problem: Whether it forbids a training; else it is a warning.
    """

    remedy: str
    is_problem: bool = True


def _warning(remedy: str) -> Kind:
    return Kind(remedy, is_problem=False)


KINDS = {
    # Found from file names.
    'missing folder': Kind('Correct data_root, or the name or folder of the site.'),
    'unusable data set': Kind('Correct the entry of the config.'),
    'no images': Kind('Put the images there, or leave the site out.'),
    'missing mask': Kind(
        'Draw the mask; an image without a lesion needs an empty one.'
    ),
    'mask without image': _warning('Put the image back, or remove the mask.'),
    'ambiguous name': Kind('Rename: image and mask are paired by name without ending.'),
    'image without index row': Kind(
        'Add the row to index.csv: its patient may be on both sides of a split.'
    ),
    'index row without image': _warning('Correct the row in index.csv, or remove it.'),
    'index rows that differ': Kind('Keep one row for each image in index.csv.'),
    'misnamed site in the index': Kind('Use this site name in index.csv.'),
    'site without index': _warning(
        'Fine if its patients are not known: it is split into blocks of file names.'
    ),
    'image of unknown patient': _warning(
        'Fill in patient or sequence in index.csv: else each image is its own patient.'
    ),
    'same file in two splits': Kind(
        'Use each site for training or for testing, not for both.'
    ),
    'test images choose the checkpoint': _warning(
        'Validate on a part of the training sites, unless an oracle is wanted.'
    ),
    # Found by reading the files.
    'vanished file': Kind('Put it back.'),
    'unreadable image': Kind('Get the file again; it is damaged or not an image.'),
    'unreadable mask': Kind('Get the file again; it is damaged or not an image.'),
    'rotated image': Kind('Save it upright; --fix does it if the mask shows how.'),
    'image bit depth': Kind('Convert to 8 bits, with a window of your choice.'),
    'grey image': _warning('Fine if the site is grey; else a sign of the site.'),
    'image channels': _warning(
        'Save as RGB: readers treat these channels differently.'
    ),
    'mask size': Kind('Mask and image must agree; draw or export the mask again.'),
    'mask bit depth': Kind(
        'Save as one 8-bit channel; --fix does it if the values fit.'
    ),
    'mask channels': Kind(
        'Save as one 8-bit channel; --fix does it where the values are clear.'
    ),
    'mask values': Kind('Correct the mask, or mask_values of the site.'),
    'soft edges': _warning(
        'Fine if they are edges; set mask_values if they are classes.'
    ),
    'mostly lesion': _warning('Look at it: is the mask inverted?'),
    'inverted masks': Kind(
        'Invert the masks: 255 is lesion, 0 background; or allow it.'
    ),
    'faint masks': Kind(
        'Masks of 0 and 1 do not survive JPEG: export them as PNG; or allow it.'
    ),
    'swapped classes': Kind(
        'Correct mask_values; classes.json says what the values mean.'
    ),
    'lesion-free site': Kind('Check the masks; leave the site out, or allow it.'),
    # Found by comparing the files.
    'copy in two splits': Kind('Remove it from training: it is tested on.'),
    'copy at two sites': Kind('Keep it at one site: sites stand for unseen hospitals.'),
    'copy within a site': _warning('Harmless, but it counts twice.'),
    'near copy across the test border': _warning(
        'Look at both: frames of one video on both sides make a test too easy.'
    ),
    'near copy across the validation border': _warning(
        'Name the sequences in index.csv: then none is divided.'
    ),
    'near copy at two sites': _warning('Look at both: sites are held out in turn.'),
}
"""Kinds by name, in the order of a report."""
