# Goes with schedule_10e.py: the intervention starts after two epochs.
custom_hooks = [
    dict(type='ConfounderDictionaryHook'),
    dict(type='InterventionWarmupHook', begin=2),
    dict(type='SiteReferenceHook'),
]
