_base_ = [
    '../_base_/models/mcdrl_clip-tiny-rn_fcn_builtin.py',
    '../_base_/datasets/endoscopy_sites_128x128.py',
    '../_base_/schedules/schedule_10e.py',
    '../_base_/schedules/intervention_10e.py',
    '../_base_/default_runtime.py',
]
# The frozen built-in weights were trained on simulated scenes only.
model = dict(
    decode_head=dict(
        dictionary=dict(prompts=dict(classes=['polyp', 'vocal fold lesion']))
    )
)
# At 3e-3 a step of the intervention shifts all tokens together by about as much as they
# differ. The running statistics of the following BatchNorm lag behind, and validation
# predicts background until the learning rate has decreased.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'decode_head.intervention': dict(lr_mult=0.1)})
)
train_dataloader = dict(num_workers=0)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0)
test_evaluator = dict(type='SiteLesionMetric', surface=False, thresholds=False)
