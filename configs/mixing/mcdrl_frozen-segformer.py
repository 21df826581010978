# MCDRL over a stock SegFormer that is trained already: its backbone stays as it is, its
# head goes on from where it was, and the intervention between them is new.
_base_ = ['./own_segformer.py', '../_base_/prompts/endoscopy.py']
custom_imports = dict(imports=['mcdrl_mmseg'], allow_failed_imports=False)
segformer = '{{$SEGFORMER_CHECKPOINT:work_dirs/own_segformer/iter_5000.pth}}'
model = dict(
    backbone=dict(
        _delete_=True,
        type='CLIPGuidedBackbone',
        backbone=dict(
            **_base_.model.backbone,
            init_cfg=dict(type='Pretrained', checkpoint=segformer, prefix='backbone.'),
        ),
        frozen=True,
        clip=dict(model_name='ViT-B-16', pretrained='openai', dense_mode='clearclip'),
    ),
    decode_head=dict(
        _delete_=True,
        type='CausalInterventionHead',
        in_channels=256,
        in_index=3,
        predictor=dict(
            **_base_.model.decode_head,
            init_cfg=dict(
                type='Pretrained', checkpoint=segformer, prefix='decode_head.'
            ),
        ),
        dictionary=dict(
            type='ConfounderDictionary',
            prompts=dict(**{**_base_.prompts, 'classes': ['polyp']}),
            embed_dims=512,
        ),
        region_selector=dict(type='CLIPRegionSelector', ratio=0.5),
        intervention=dict(type='CausalIntervention', num_layers=3),
        loss_causal=dict(type='CausalAlignmentLoss', normalize=True, loss_weight=0.5),
        loss_contrast=None,
    ),
)
# The network is trained already: nothing to wait for.
custom_hooks = [
    dict(type='ConfounderDictionaryHook'),
    dict(type='InterventionWarmupHook', begin=0, by_epoch=False),
    dict(type='SiteReferenceHook'),
]
