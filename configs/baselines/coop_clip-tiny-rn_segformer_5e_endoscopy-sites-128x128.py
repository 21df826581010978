# Sum of the baseline's logits and those of learned prompts; tower, decoder and context
# are trained together.
_base_ = ['./clip-tiny-rn_segformer_5e_endoscopy-sites-128x128.py']
model = dict(
    decode_head=dict(
        _delete_=True,
        type='PromptTuningHead',
        class_names=['normal mucosa', ['polyp', 'vocal fold lesion']],
        text=dict(
            model_name=_base_.model.backbone.model_name,
            pretrained=_base_.model.backbone.pretrained,
        ),
        in_channels=128,
        context=16,
        # The initial value in CLIP's training.
        temperature=0.07,
        predictor=_base_.model.decode_head,
        loss_decode=_base_.model.decode_head.loss_decode,
    ),
)
# The context has CoOp's learning rate, 2e-3.
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={'prompts.context': dict(lr_mult=0.4, decay_mult=0)}
    ),
)
