_base_ = [
    '../_base_/models/clip-tiny-rn_segformer.py',
    '../_base_/datasets/endosim_heldout-endosim-a.py',
    '../_base_/schedules/schedule_8e.py',
    '../_base_/default_runtime.py',
]
# A small tower takes a higher rate than the paper's large ones.
optim_wrapper = dict(optimizer=dict(lr=3e-3), clip_grad=dict(max_norm=5.0))
