_base_ = ['./retinal_vessels.py']
held_out_site = 'chase_db1'
training = [p for p in _base_.training_parts if p['metainfo']['site'] != held_out_site]
validation = [
    p for p in _base_.validation_parts if p['metainfo']['site'] != held_out_site
]
test = [p for p in _base_.test_parts if p['metainfo']['site'] == held_out_site]
train_dataloader = dict(dataset=dict(datasets=training))
val_dataloader = dict(dataset=dict(datasets=validation))
test_dataloader = dict(dataset=dict(datasets=test))
