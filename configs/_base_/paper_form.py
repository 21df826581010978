# A decode head in the paper's form: F only holds the selected positions, the residual
# passes on all of F, no confounders are observed, and both losses have the paper's
# weights. L_causal compares normalised features; docs/method.md says why.
paper_form = dict(
    unselected='zero',
    intervention=dict(residual='whole', observe_confounders=False),
    loss_causal=dict(
        _delete_=True, type='CausalAlignmentLoss', normalize=True, loss_weight=0.5
    ),
    loss_contrast=dict(
        _delete_=True, type='CLIPContrastiveLoss', temperature=0.5, loss_weight=0.1
    ),
)
