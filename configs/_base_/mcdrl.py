# Turns the config of any EncoderDecoder into MCDRL, by being one more of its `_base_`:
# its backbone gets a CLIP guide, its decode head becomes the predictor behind the
# intervention. `mcdrl=dict(head=dict(dictionary=dict(prompts=...)))` names other classes.
_base_ = ['./prompts/endoscopy.py']
custom_imports = dict(imports=['mcdrl_mmseg'], allow_failed_imports=False)
runner_type = 'MCDRLRunner'
mcdrl = dict(
    clip=dict(model_name='ViT-B-16', pretrained='openai', dense_mode='clearclip'),
    head=dict(
        # Its width `embed_dims` follows from clip.model_name.
        dictionary=dict(type='ConfounderDictionary', prompts=_base_.prompts),
        region_selector=dict(type='CLIPRegionSelector', ratio=0.5),
        # Features of another space than the texts have no span of confounders to remove:
        # the residual is the paper's. Beside what is observed the paper's losses gained
        # nothing on simulated sites (docs/evidence_endosim.md).
        intervention=dict(
            type='CausalIntervention', num_layers=3, observe_confounders=True
        ),
        loss_causal=None,
        loss_contrast=None,
    ),
    hooks=[
        dict(type='ConfounderDictionaryHook'),
        # A fifth of the schedule is what the paper waits, whatever loop counts it.
        dict(type='InterventionWarmupHook', begin=0.2, of_schedule=True),
        # What the training sites look like, for `python -m mcdrl_lab site-check`.
        dict(type='SiteReferenceHook'),
    ],
)
