# Goes with schedule_5e.py and schedule_6e.py: the intervention starts after one epoch.
custom_hooks = [
    dict(type='ConfounderDictionaryHook'),
    dict(type='InterventionWarmupHook', begin=1),
    dict(type='SiteReferenceHook'),
]
