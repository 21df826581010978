_base_ = [
    '../_base_/models/mcdrl_clip-tiny-rn_fcn_builtin.py',
    '../_base_/datasets/endoscopy_sites_128x128.py',
    '../_base_/schedules/schedule_10e.py',
    '../_base_/schedules/intervention_10e.py',
    '../_base_/default_runtime.py',
]
# The built-in weights, which are frozen, were trained on simulated scenes alone.
model = dict(
    decode_head=dict(
        dictionary=dict(prompts=dict(classes=['polyp', 'vocal fold lesion']))
    )
)
# At 3e-3 a step of the intervention moves all tokens together by about what tells them
# apart: BatchNorm's running statistics behind it lag, and validation predicts background
# until the rate has fallen.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'decode_head.intervention': dict(lr_mult=0.1)})
)
train_dataloader = dict(num_workers=0)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0)
test_evaluator = dict(type='SiteLesionMetric', surface=False, thresholds=False)
