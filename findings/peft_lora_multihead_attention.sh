#!/usr/bin/env bash
# peft's LoRA on the layers inside PyTorch's fused attention has no effect, or only during training.
#
# Expected: an adapter on a linear layer changes the output and gets a gradient, in training
#   and in evaluation alike; merging it changes nothing.
# Happens: (1) nn.MultiheadAttention reads the weight of its out_proj and never calls the
#   layer. With target_modules='all-linear' peft puts an adapter there, counts it as
#   trainable, and it neither changes the output nor gets a gradient. Merging makes it
#   count. (2) nn.TransformerEncoderLayer takes a fused path in evaluation that reads all
#   weights: adapters on linear1 and linear2 work in training and vanish in evaluation.
#   Naming the attention itself (target_modules=['attn']) works in (1).
# Versions: peft 0.21.2, torch 2.13.0, transformers 5.24.0.
# Why it matters: open_clip's ViT towers are built of nn.MultiheadAttention. 'all-linear'
#   tunes their MLPs alone while the count of parameters says otherwise; and a decoder of
#   encoder layers is tuned with adapters that its predictions then do without.
# Seen: 2026-11-28, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected, 'all-linear': every adapter gets a gradient
#   happened: {'out_proj': False, 'mlp': True}
#   out_proj adapter times 1000: no change
#   merging it: a change
#   encoder layer, change by its adapters: {'training': 1.898, 'evaluation': 0.0}
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 transformers==5.24.0 peft==0.21.2
venv/bin/python -W ignore - <<'PY'
import torch
from peft import LoraConfig, get_peft_model
from torch import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn = nn.MultiheadAttention(32, 4, batch_first=True)
        self.mlp = nn.Linear(32, 32)

    def forward(self, x):
        return self.mlp(self.attn(x, x, x, need_weights=False)[0])


def adapted(model, targets):
    # Adapters that start at zero would hide everything: start them at random.
    config = LoraConfig(target_modules=targets, r=4, init_lora_weights=False)
    return get_peft_model(model, config)


torch.manual_seed(0)
x = torch.randn(2, 5, 32)
model = adapted(Block(), 'all-linear').train()
model(x).square().sum().backward()
gradients = {
    name.split('.')[-4]: p.grad is not None
    for name, p in model.named_parameters()
    if 'lora_B' in name
}
with torch.no_grad():
    adapters_on_mlp = model(x)
    for name, p in model.named_parameters():
        if 'out_proj.lora_B' in name:
            p.mul_(1000)
    scaled = model(x)
    merged = model.merge_and_unload()(x)
print("expected, 'all-linear': every adapter gets a gradient")
print('happened:', gradients)
print('out_proj adapter times 1000:', 'no' if torch.equal(scaled, adapters_on_mlp) else 'a', 'change')
print('merging it:', 'a' if (merged - scaled).abs().max() > 1 else 'no', 'change')
assert gradients == {'out_proj': False, 'mlp': True}
assert torch.equal(scaled, adapters_on_mlp)
assert (merged - scaled).abs().max() > 1

named = adapted(Block(), ['attn']).train()
named(x).square().sum().backward()
assert all(p.grad is not None for n, p in named.named_parameters() if 'lora_B' in n)

layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0, batch_first=True)
with torch.no_grad():
    before = layer.eval()(x)
    layer = adapted(layer, ['linear1', 'linear2'])
    change = {
        'training': (layer.train()(x) - before).abs().max().item(),
        'evaluation': (layer.eval()(x) - before).abs().max().item(),
    }
print('encoder layer, change by its adapters:', {k: round(v, 3) for k, v in change.items()})
assert change['training'] > 0.01 and change['evaluation'] < 1e-5
PY
