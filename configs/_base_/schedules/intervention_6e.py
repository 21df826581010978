# Goes with schedule_6e.py.
custom_hooks = [
    dict(type='ConfounderDictionaryHook'),
    dict(type='InterventionWarmupHook', begin=1),
]
