"""Kvasir-SEG: polyps, colonoscopy, Vestre Viken (Norway)."""

from __future__ import annotations

from mcdrl_lab.data.converters.pairing import ENDING, KEY, ROOT, Layout, PatternSource

SOURCE = PatternSource(
    title='Kvasir-SEG (Jha et al., MMM 2020)',
    url='https://datasets.simula.no/kvasir-seg/ (kvasir-seg.zip)',
    licence='research and education; cite the paper',
    layout='Kvasir-SEG/images/NAME.jpg and Kvasir-SEG/masks/NAME.jpg, 1000 of each.',
    checked=(
        'Folder names, JPEG masks and their threshold against descriptions and public '
        'loaders, and against 200 pairs of the same hospital in the same form; never '
        'against the archive itself. The images are also those of the segmented part '
        'of HyperKvasir: never treat the two as different sites.'
    ),
    lesion_classes=('polyp',),
    layouts=(
        Layout(
            'kvasir_seg',
            images=rf'{ROOT}images/{KEY}{ENDING}',
            masks=rf'{ROOT}masks/{KEY}{ENDING}',
        ),
    ),
)
