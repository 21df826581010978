# A stock model with this package's data set, metric and leave-one-site-out; no CLIP.
_base_ = [
    '../_base_/models/mit-b0_segformer.py',
    '../_base_/datasets/endoscopy-sites_heldout-polypgen-c1.py',
    '../_base_/schedules/schedule_50e.py',
    '../_base_/default_runtime.py',
]
