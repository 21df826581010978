"""EndoTect, and the segmented images of HyperKvasir: polyps, colonoscopy."""

from __future__ import annotations

from mcdrl_lab.data.converters.pairing import ENDING, KEY, ROOT, Layout, PatternSource

SOURCE = PatternSource(
    title='EndoTect 2020 / HyperKvasir segmented images (Borgli et al., 2020)',
    url='https://datasets.simula.no/hyper-kvasir/ (hyper-kvasir-segmented-images.zip) '
    'and https://endotect.com (test data)',
    licence='CC BY 4.0',
    layout='images/NAME.jpg and masks/NAME.jpg (or .png), in any folder, e.g. '
    'segmented-images/ of HyperKvasir.',
    checked=(
        'Names, pairing and masks against 200 real pairs of the EndoTect test data, '
        'scaled down; the folder of the HyperKvasir archive against its description.'
    ),
    lesion_classes=('polyp',),
    layouts=(
        Layout(
            'endotect_kvasir',
            images=rf'{ROOT}images/{KEY}{ENDING}',
            masks=rf'{ROOT}masks/{KEY}{ENDING}',
        ),
    ),
)
