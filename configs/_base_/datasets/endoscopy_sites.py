# Real endoscopy images of six sites, one of which is held out.
_base_ = ['./site_folders.py']
sites = [
    dict(name='polypgen_c1', lesion_classes=['polyp']),
    dict(name='polypgen_c2', lesion_classes=['polyp']),
    dict(name='polypgen_c3', lesion_classes=['polyp']),
    dict(name='polypgen_c4', lesion_classes=['polyp']),
    dict(name='endotect_kvasir', lesion_classes=['polyp']),
    dict(name='vocalfolds_larynx', lesion_classes=['vocal fold lesion']),
]
# This site is excluded from training and validation, and is the whole test set. Set it
# by MCDRL_HELD_OUT=SITE.
held_out_site = '{{$MCDRL_HELD_OUT:polypgen_c1}}'
training_sites = [s for s in sites if s['name'] != held_out_site]
if len(training_sites) == len(sites):
    raise ValueError(
        f'MCDRL_HELD_OUT={held_out_site!r} is none of the sites of this data set: '
        f'{", ".join(s["name"] for s in sites)}.'
    )
train_dataloader = dict(dataset=dict(sites=training_sites))
val_dataloader = dict(dataset=dict(sites=training_sites))
test_dataloader = dict(
    dataset=dict(sites=[s for s in sites if s['name'] == held_out_site])
)
