# Goes with schedule_50e.py: the intervention starts at epoch 10 of 50.
custom_hooks = [
    dict(type='ConfounderDictionaryHook'),
    dict(type='InterventionWarmupHook', begin=10),
    dict(type='SiteReferenceHook'),
]
