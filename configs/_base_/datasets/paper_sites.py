# The five sites of the paper, as the dataset converters write them; a fold's file
# names the one held out. The paper does not say how its five lesion types follow from
# the labels of the data sets: the grouping below is this project's reading.
_base_ = ['./endoscopy_sites.py']
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
    # Values follow the alphabetical order of the folders of the seven diagnoses. If
    # yours have other names, take the values from the entry that the converter prints.
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
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = dict(dataset=dict(data_root=data_root))
