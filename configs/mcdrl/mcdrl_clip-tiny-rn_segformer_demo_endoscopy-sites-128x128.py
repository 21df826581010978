# The main job of `make demo-real`: about four minutes on two cores. Three sites in, one
# out, whatever MCDRL_HELD_OUT says.
_base_ = [
    '../_base_/models/mcdrl_clip-tiny-rn_segformer.py',
    '../_base_/datasets/endoscopy_sites_128x128.py',
    '../_base_/schedules/schedule_5e.py',
    '../_base_/schedules/intervention_5e.py',
    '../_base_/default_runtime.py',
]
held_out_site = 'polypgen_c1'
training_sites = [
    s
    for s in _base_.sites
    if s['name'] in ('polypgen_c2', 'polypgen_c3', 'endotect_kvasir')
]
train_dataloader = dict(dataset=dict(sites=training_sites))
val_dataloader = dict(dataset=dict(sites=training_sites))
# Small batches, so that the log shows how far the test has come.
test_dataloader = dict(
    batch_size=4,
    dataset=dict(sites=[s for s in _base_.sites if s['name'] == held_out_site]),
)
optim_wrapper = dict(optimizer=dict(lr=3e-3), clip_grad=dict(max_norm=5.0))
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        T_max=12,
        eta_min=1e-5,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(max_epochs=12)
