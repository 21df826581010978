_base_ = [
    '../_base_/models/mcdrl_clip-tiny-rn_segformer.py',
    '../_base_/datasets/endoscopy_sites_128x128.py',
    '../_base_/schedules/schedule_5e.py',
    '../_base_/schedules/intervention_5e.py',
    '../_base_/default_runtime.py',
]
# A small tower with random initial weights: the paper's learning rate.
optim_wrapper = dict(optimizer=dict(lr=5e-3), clip_grad=dict(max_norm=5.0))
