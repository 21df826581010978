# Goes with schedule_5e.py.
custom_hooks = [
    dict(type='ConfounderDictionaryHook'),
    dict(type='InterventionWarmupHook', begin=1),
]
