# The paper's form: with random initial weights texts and images are unrelated, so no
# confounders can be observed. The config with the built-in weights adds what the other
# models have.
_base_ = ['./clip-tiny-rn_segformer.py', '../prompts/endoscopy_sites.py']
model = dict(
    decode_head=dict(
        _delete_=True,
        type='CausalInterventionHead',
        in_channels=128,
        in_index=-2,
        predictor=_base_.model.decode_head,
        dictionary=dict(
            type='ConfounderDictionary', prompts=_base_.prompts, embed_dims=128
        ),
        region_selector=dict(type='CLIPRegionSelector', ratio=0.5),
        intervention=dict(type='CausalIntervention', num_layers=3),
        loss_causal=dict(type='CausalAlignmentLoss', normalize=True, loss_weight=0.5),
        loss_contrast=dict(
            type='CLIPContrastiveLoss', temperature=0.5, loss_weight=0.1
        ),
    )
)
