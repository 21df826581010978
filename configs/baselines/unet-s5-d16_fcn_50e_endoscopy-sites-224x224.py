_base_ = [
    '../_base_/models/unet-s5-d16_fcn.py',
    '../_base_/datasets/endoscopy_sites.py',
    '../_base_/schedules/schedule_50e.py',
    '../_base_/default_runtime.py',
]
