"""Vocal folds: label maps, laryngoscopy, Genoa and Hannover."""

from __future__ import annotations

from mcdrl_lab.data.converters.decodings import LabelMapDecoding
from mcdrl_lab.data.converters.pairing import KEY, ROOT, Layout, PatternSource

# void, vocal folds, other tissue, glottal space, pathology, surgical tool, intubation
_PATHOLOGY = 4
_LABELS = 7

SOURCE = PatternSource(
    title='Vocal folds (Laves et al., IJCARS 2019)',
    url='https://github.com/imesluh/vocalfolds',
    licence='see the repository; a copy of the data is shared under CC BY 4.0',
    layout='img/patient*/seq*/NAME.png and annot/patient*/seq*/NAME.png, label maps '
    'with values 0 to 6, of which 4 is "pathology".',
    checked=(
        'Folders and file names against the repository; pathology masks against 58 '
        'real pairs of sequences 1 and 2, scaled down and put back into label maps. '
        'The meaning of the other labels against a public loader. Only patient 1 is '
        'known to show pathology: one patient is a very small site.'
    ),
    lesion_classes=('vocal fold lesion',),
    decoding=LabelMapDecoding({v: int(v == _PATHOLOGY) for v in range(_LABELS)}),
    layouts=(
        Layout(
            'vocalfolds_larynx',
            images=rf'{ROOT}img/(?P<patient>[^/]+)/(?P<sequence>[^/]+)/{KEY}\.png',
            masks=rf'{ROOT}annot/(?P<patient>[^/]+)/(?P<sequence>[^/]+)/{KEY}\.png',
            name='{patient}_{sequence}_{key}',
            sequence='{sequence}',
            patient='{patient}',
        ),
    ),
)
