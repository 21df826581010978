# Add this file to the `_base_` of any EncoderDecoder config to turn it into MCDRL: its
# backbone gets a CLIP guide, and its decode head becomes the predictor behind the
# intervention. Set other classes by `mcdrl=dict(head=dict(dictionary=dict(prompts=...)))`.
_base_ = ['./prompts/endoscopy.py']
custom_imports = dict(imports=['mcdrl_mmseg'], allow_failed_imports=False)
runner_type = 'MCDRLRunner'
mcdrl = dict(
    clip=dict(model_name='ViT-B-16', pretrained='openai', dense_mode='clearclip'),
    head=dict(
        # Its width `embed_dims` follows from clip.model_name.
        dictionary=dict(type='ConfounderDictionary', prompts=_base_.prompts),
        region_selector=dict(type='CLIPRegionSelector', ratio=0.5),
        # The residual is the paper's: the confounders' span can only be removed from
        # features in the space of the texts. With observed confounders the paper's
        # losses brought no gain on simulated sites (docs/evidence_endosim.md).
        intervention=dict(
            type='CausalIntervention', num_layers=3, observe_confounders=True
        ),
        loss_causal=None,
        loss_contrast=None,
    ),
    hooks=[
        dict(type='ConfounderDictionaryHook'),
        # The paper's warm-up, a fifth of the schedule, for epoch and iteration loops.
        dict(type='InterventionWarmupHook', begin=0.2, of_schedule=True),
        # Statistics of the training sites, for `python -m mcdrl_lab site-check`.
        dict(type='SiteReferenceHook'),
    ],
)
