# CoOp for every position: CLIP is frozen, the context of the prompts is all that is
# trained.
_base_ = ['./clip-tiny-rn_segformer.py']
model = dict(
    backbone=dict(frozen=True),
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
        # CLIP's value at the start of its training.
        temperature=0.07,
        loss_decode=_base_.model.decode_head.loss_decode,
    ),
)
