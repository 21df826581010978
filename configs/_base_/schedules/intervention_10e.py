# Goes with schedule_10e.py.
custom_hooks = [
    dict(type='ConfounderDictionaryHook'),
    dict(type='InterventionWarmupHook', begin=2),
]
