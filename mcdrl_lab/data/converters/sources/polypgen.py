"""PolypGen: polyps, colonoscopy, six hospitals."""

from __future__ import annotations

from mcdrl_lab.data.converters.pairing import ENDING, ROOT, Layout, PatternSource

# The name of one image of centre 3 ends in an underscore, that of its mask does not.
_KEY = r'(?P<key>[^/]+?)_?'
_MASK_KEY = r'(?P<key>[^/]+?)_?(?:_mask)?'
_SEQUENCE = r'(?P<sequence>seq\d+[^/]*)'


def _centre(number: int) -> Layout:
    folder = rf'{ROOT}data_C{number}'
    return Layout(
        f'polypgen_c{number}',
        images=rf'{folder}/images_C{number}/{_KEY}{ENDING}',
        masks=rf'{folder}/masks_C{number}/{_MASK_KEY}{ENDING}',
    )


SOURCE = PatternSource(
    title='PolypGen (Ali et al., 2023)',
    url='https://www.synapse.org/#!Synapse:syn26376615 '
    '(PolypGen2021_MultiCenterData_v3.zip)',
    licence='CC BY 4.0',
    layout='data_C1 to data_C6 with images_C*/NAME.jpg and masks_C*/NAME_mask.jpg; '
    'sequenceData/positive/seq*/images_seq* and masks_seq*; '
    'sequenceData/negativeOnly/seq*_neg/NAME.jpg.',
    checked=(
        'File names and masks of centres 1 to 4 against 1241 real pairs, scaled down '
        'and put back into these folders; the folders themselves, centres 5 and 6 and '
        'the sequences against public listings of the archive. They do not say '
        'which hospital a sequence is from: polypgen_sequences mixes hospitals.'
    ),
    lesion_classes=('polyp',),
    layouts=(
        *(_centre(number) for number in range(1, 7)),
        Layout(
            'polypgen_sequences',
            images=rf'{ROOT}sequenceData/positive/{_SEQUENCE}/images_[^/]+/{_KEY}'
            rf'{ENDING}',
            masks=rf'{ROOT}sequenceData/positive/{_SEQUENCE}/masks_[^/]+/{_MASK_KEY}'
            rf'{ENDING}',
            name='{sequence}_{key}',
            sequence='{sequence}',
        ),
        Layout(
            'polypgen_negative',
            images=rf'{ROOT}sequenceData/negativeOnly/{_SEQUENCE}/(?P<key>[^/]+?)'
            rf'{ENDING}',
            masks=None,
            name='{sequence}_{key}',
            sequence='{sequence}',
        ),
    ),
)
