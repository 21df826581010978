_base_ = ['./r50-d8_fcn.py', '../prompts/endoscopy_sites.py']
model = dict(
    backbone=dict(
        _delete_=True,
        type='CLIPGuidedBackbone',
        backbone=_base_.model.backbone,
        clip=dict(model_name='ViT-B-16', pretrained='openai', dense_mode='clearclip'),
        mean=_base_.model.data_preprocessor.mean,
        std=_base_.model.data_preprocessor.std,
    ),
    decode_head=dict(
        _delete_=True,
        type='CausalInterventionHead',
        in_channels=2048,
        in_index=3,
        predictor=_base_.model.decode_head,
        dictionary=dict(
            type='ConfounderDictionary', prompts=_base_.prompts, embed_dims=512
        ),
        region_selector=dict(type='CLIPRegionSelector', ratio=0.5),
        intervention=dict(
            type='CausalIntervention', num_layers=3, attention_dims=512, ffn_ratio=0.25
        ),
        loss_causal=dict(type='CausalAlignmentLoss', normalize=True, loss_weight=0.5),
        # The guide is frozen: there is no encoder that this loss could train.
        loss_contrast=None,
    ),
)
