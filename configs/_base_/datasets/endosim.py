# The simulated benchmark as python -m mcdrl_lab simulate writes it: five sites, one of
# which is held out. Lesion classes are those of configs/_base_/prompts/endoscopy.py.
_base_ = ['./site_folders.py']
data_root = '{{$MCDRL_ENDOSIM_ROOT:data/endosim}}'
image_size = (128, 128)
lesion_classes = ['polyp', 'tumour', 'inflammation', 'nodule', 'cyst']
mask_values = {
    0: 'background',
    1: 'polyp',
    2: 'tumour',
    3: 'inflammation',
    4: 'nodule',
    5: 'cyst',
}
sites = [
    dict(name=name, lesion_classes=lesion_classes, mask_values=mask_values)
    for name in ('endosim_a', 'endosim_b', 'endosim_c', 'endosim_d', 'endosim_e')
]
# This site is excluded from training and validation, and is the whole test set. Set it
# by MCDRL_HELD_OUT=SITE.
held_out_site = '{{$MCDRL_HELD_OUT:endosim_a}}'
training_sites = [s for s in sites if s['name'] != held_out_site]
if len(training_sites) == len(sites):
    raise ValueError(
        f'MCDRL_HELD_OUT={held_out_site!r} is none of the sites of this data set: '
        f'{", ".join(s["name"] for s in sites)}.'
    )
train_pipeline = [
    {**t, 'scale': image_size} if t['type'] == 'Resize' else t
    for t in _base_.train_pipeline
]
test_pipeline = [
    {**t, 'scale': image_size} if t['type'] == 'Resize' else t
    for t in _base_.test_pipeline
]
tta_pipeline = [
    _base_.tta_pipeline[0],
    dict(
        type='TestTimeAug',
        transforms=[[test_pipeline[1]], *_base_.tta_pipeline[1]['transforms'][1:]],
    ),
]
# Reading images this small takes less time than passing them on from a worker.
train_dataloader = dict(
    num_workers=0,
    dataset=dict(data_root=data_root, sites=training_sites, pipeline=train_pipeline),
)
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root=data_root, sites=training_sites, pipeline=test_pipeline),
)
test_dataloader = dict(
    num_workers=0,
    dataset=dict(
        data_root=data_root,
        sites=[s for s in sites if s['name'] == held_out_site],
        pipeline=test_pipeline,
    ),
)
# No surface distances: plans have hundreds of runs, and distances take longer than a
# forward pass of a tiny model.
test_evaluator = dict(type='SiteLesionMetric', surface=False, thresholds=False)
