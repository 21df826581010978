_base_ = ['./endosim.py']
held_out_site = 'endosim_a'
training_sites = [s for s in _base_.sites if s['name'] != held_out_site]
train_dataloader = dict(dataset=dict(sites=training_sites))
val_dataloader = dict(dataset=dict(sites=training_sites))
test_dataloader = dict(
    dataset=dict(sites=[s for s in _base_.sites if s['name'] == held_out_site])
)
