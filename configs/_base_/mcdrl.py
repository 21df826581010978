# Turns the config of any EncoderDecoder into MCDRL, by being one more of its `_base_`:
# its backbone gets a CLIP guide, its decode head becomes the predictor behind the
# intervention. `mcdrl=dict(head=dict(dictionary=dict(prompts=...)))` names other classes.
_base_ = ['./prompts/endoscopy.py']
custom_imports = dict(imports=['mcdrl_mmseg'], allow_failed_imports=False)
runner_type = 'MCDRLRunner'
mcdrl = dict(
    clip=dict(model_name='ViT-B-16', pretrained='openai', dense_mode='clearclip'),
    head=dict(
        dictionary=dict(
            type='ConfounderDictionary', prompts=_base_.prompts, embed_dims=512
        ),
        region_selector=dict(type='CLIPRegionSelector', ratio=0.5),
        intervention=dict(type='CausalIntervention', num_layers=3),
        loss_causal=dict(type='CausalAlignmentLoss', normalize=True, loss_weight=0.5),
        # The guide is frozen: there is no encoder that this loss could train.
        loss_contrast=None,
    ),
    hooks=[
        dict(type='ConfounderDictionaryHook'),
        # In iterations, which every training loop counts; a fifth of the schedule is
        # what the paper waits.
        dict(type='InterventionWarmupHook', begin=1000, by_epoch=False),
    ],
)
