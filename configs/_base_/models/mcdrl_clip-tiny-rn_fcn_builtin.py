_base_ = ['./clip-tiny-rn_fcn_builtin.py', '../prompts/endoscopy.py']
model = dict(
    decode_head=dict(
        _delete_=True,
        type='CausalInterventionHead',
        in_channels=128,
        in_index=-2,
        predictor={**_base_.model.decode_head, 'in_index': -1},
        dictionary=dict(
            type='ConfounderDictionary', prompts=_base_.prompts, embed_dims=128
        ),
        region_selector=dict(type='CLIPRegionSelector', ratio=0.5),
        intervention=dict(
            type='CausalIntervention',
            num_layers=3,
            residual='orthogonal',
            observe_confounders=True,
        ),
        # Half of the positions are kept, most of them healthy: their mean would be pulled
        # to the lesion's text.
        loss_causal=None,
        # The tower is frozen: there is no encoder to fine-tune.
        loss_contrast=None,
    )
)
