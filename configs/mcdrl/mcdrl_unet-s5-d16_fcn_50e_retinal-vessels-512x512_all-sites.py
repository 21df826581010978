# For tools/leave_one_site_out.py, which holds each of the four sites out in turn: as it
# stands, this config trains on all of them.
_base_ = [
    '../_base_/models/mcdrl_unet-s5-d16_fcn_vessels.py',
    '../_base_/datasets/retinal_vessels.py',
    '../_base_/schedules/schedule_50e.py',
    '../_base_/schedules/intervention_50e.py',
    '../_base_/default_runtime.py',
]
