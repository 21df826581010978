# Adds healthy images of another hospital, the folder `healthy` beside the sites. They
# are only trained on, never held out. Six epochs with these 400 images have as many
# steps as eight without them.
_base_ = ['./clip-endo-lite0_segformer_8e_endoscopy-sites-160x160.py']
training_only_sites = [dict(name='healthy', lesion_classes=['polyp'])]
train_dataloader = dict(
    dataset=dict(sites=[*_base_.training_sites, *training_only_sites])
)
param_scheduler = [
    _base_.param_scheduler[0],
    {**_base_.param_scheduler[1], 'T_max': 6},
]
train_cfg = dict(max_epochs=6, val_interval=3)
default_hooks = dict(dataset_check=dict(allow=['lesion-free site']))
