# The five sites of the paper, as the dataset converters write them, in the order of its
# folds A to E; one is held out. The paper does not say how it maps the labels of the
# data sets to its five lesion types: the mapping below is our interpretation.
_base_ = ['./site_folders.py']
data_root = '{{$MCDRL_DATA_ROOT:data/paper_sites}}'
sites = [
    dict(
        name='bm_broncholc',
        lesion_classes=['tumour', 'inflammation'],
        mask_values={
            0: 'background',
            1: 'tumour',  # mucosal infiltration
            2: 'inflammation',  # mucosal edema of carina
            3: 'tumour',  # vascular growth
            4: 'inflammation',  # mucosal erythema
            5: 'tumour',  # tumor
            6: 'inflammation',  # anthracosis
            7: 'tumour',  # stenosis
        },
    ),
    # Values are in alphabetical order of the folders of the seven diagnoses. If your
    # folders have other names, use the values that the converter prints.
    dict(
        name='laryngoscope8',
        lesion_classes=['polyp', 'tumour', 'inflammation', 'nodule', 'cyst'],
        mask_values={
            0: 'background',
            1: 'tumour',  # cancer
            2: 'cyst',
            3: 'inflammation',  # edema
            4: 'inflammation',  # granuloma
            5: 'tumour',  # leukoplakia
            6: 'nodule',
            7: 'polyp',
        },
    ),
    dict(name='cvc_clinicdb', lesion_classes=['polyp']),
    dict(name='etis_larib', lesion_classes=['polyp']),
    dict(name='kvasir_seg', lesion_classes=['polyp']),
]
# This site is excluded from training and validation, and is the whole test set. Set it
# by MCDRL_HELD_OUT=SITE.
held_out_site = '{{$MCDRL_HELD_OUT:bm_broncholc}}'
training_sites = [s for s in sites if s['name'] != held_out_site]
if len(training_sites) == len(sites):
    raise ValueError(
        f'MCDRL_HELD_OUT={held_out_site!r} is none of the sites of this data set: '
        f'{", ".join(s["name"] for s in sites)}.'
    )
train_dataloader = dict(dataset=dict(data_root=data_root, sites=training_sites))
val_dataloader = dict(dataset=dict(data_root=data_root, sites=training_sites))
test_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        sites=[s for s in sites if s['name'] == held_out_site],
    )
)
