_base_ = [
    '../_base_/models/clip-vit-l14_fcn.py',
    '../_base_/datasets/paper_sites.py',
    '../_base_/schedules/schedule_50e.py',
    '../_base_/default_runtime.py',
]
