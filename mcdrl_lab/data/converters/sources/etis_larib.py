"""ETIS-LaribPolypDB: polyps, colonoscopy, Lariboisiere hospital (Paris)."""

from __future__ import annotations

from mcdrl_lab.data.converters.pairing import ENDING, ROOT, Layout, PatternSource

_FRAME = r'(?P<key>\d+)'

SOURCE = PatternSource(
    title='ETIS-LaribPolypDB (Silva et al., 2014)',
    url='https://polyp.grand-challenge.org/EtisLarib/ (rar: unpack it yourself)',
    licence='research and education; cite the paper',
    layout='ETIS-LaribPolypDB/N.tif and "Ground Truth"/pN.tif, N from 1 to 196, or '
    'images/N.png and masks/N.png.',
    checked=(
        'Folder and file names against public loaders of the archive, never against '
        'the archive itself. The 34 sequences are not published as frame ranges: the '
        'sequence stays empty, and images are ordered by number.'
    ),
    lesion_classes=('polyp',),
    layouts=tuple(
        Layout(
            'etis_larib',
            images=rf'{ROOT}{images}/{_FRAME}{ENDING}',
            masks=rf'{ROOT}{masks}/p?{_FRAME}{ENDING}',
            name='{key:0>3}',
        )
        for images, masks in (
            ('ETIS-LaribPolypDB', 'Ground[ _-]?Truth'),
            ('images', 'masks'),
        )
    ),
)
