#!/usr/bin/env bash
# A shorter context in open_clip changes the embedding of prompts that fit into it.
#
# Expected: create_model(..., pretrained=..., force_context_length=32) keeps the positions of the first 32 tokens: a prompt of six
#   tokens has the embedding that it has with 77, as the tokens behind a prompt have no influence on it.
# Happens: the 77 trained position embeddings are resized to 32 by linear interpolation, so that the third token gets
#   what was trained for the sixth and the seventh. The same prompt has a different embedding. Weights cut to the first
#   32 give the correct result. No message.
# Versions: open_clip_torch 3.3.0, timm 1.0.31, torch 2.13.0, torchvision 0.28.0, NumPy 2.4.6.
# Why it matters: a shorter context makes text towers faster, and segmentation prompts are short. Zero-shot scores and
#   everything learned on such texts come from a text tower that was never trained with these positions. It is shown
#   with random weights, as none can be had without a download; how much it costs with trained ones is not measured.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   of 77 positions the first five of 32 tokens get: 0.7 3.11 5.52 7.92 10.33
#   cosine with the embedding before, prompts of 5 11 tokens
#   77: 1.0 1.0
#   32, by hand: 1.0 1.0
#   32: 0.883 0.808
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 torch==2.13.0 torchvision==0.28.0 timm==1.0.31 open_clip_torch==3.3.0
venv/bin/python -W ignore - <<'PY'
import json
import sys
from pathlib import Path

import torch

# torchvision from PyPI next to a torch of another build fails at import for want of two
# declared operators; declaring them is all that it needs here.
library = torch.library.Library('torchvision', 'FRAGMENT')
try:
    import torchvision  # noqa: F401
except Exception:
    sys.modules.pop('torchvision', None)
    for name in ('nms', 'qnms'):
        library.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
import open_clip

vision = dict(image_size=32, patch_size=16, width=64, layers=1, head_width=32)
text = dict(context_length=77, vocab_size=49408, width=64, heads=2, layers=2)
Path('small.json').write_text(json.dumps(dict(embed_dim=32, vision_cfg=vision, text_cfg=text)))
open_clip.add_model_config(Path('small.json'))
torch.manual_seed(0)
trained = open_clip.create_model('small').eval()
# Each position embedding is its number, so that one sees which of them a token gets.
positions = torch.arange(77.0)[:, None].expand(77, 64)
weights = trained.state_dict()
torch.save(weights, 'trained.pt')
torch.save({**weights, 'positional_embedding': positions.contiguous()}, 'numbered.pt')

numbered = open_clip.create_model('small', pretrained='numbered.pt', force_context_length=32)
got = numbered.positional_embedding[:, 0].tolist()
print('of 77 positions the first five of 32 tokens get:', *[round(value, 2) for value in got[:5]])
assert got[2] > 5 and abs(got[31] - 75.3) < 0.5

tokens = open_clip.get_tokenizer('small')(['a polyp', 'a photo of a sessile polyp'])
lengths = (tokens != 0).sum(1).tolist()
cut = open_clip.create_model('small', force_context_length=32).eval()
kept = {key: value[:32] if key == 'positional_embedding' else value for key, value in weights.items()}
kept['attn_mask'] = cut.attn_mask
cut.load_state_dict(kept, strict=False)
models = {
    '77': open_clip.create_model('small', pretrained='trained.pt').eval(),
    '32, by hand': cut,
    '32': open_clip.create_model('small', pretrained='trained.pt', force_context_length=32).eval(),
}
print('cosine with the embedding before, prompts of', *lengths, 'tokens')
with torch.no_grad():
    before = trained.encode_text(tokens, normalize=True)
    for name, model in models.items():
        after = model.encode_text(tokens[:, : int(name[:2])], normalize=True)
        cosines = (before * after).sum(1)
        print(f'{name}:', *[round(float(value), 3) for value in cosines])
        if name == '32':
            assert bool((cosines < 0.98).all())
        else:
            assert bool((cosines > 0.9999).all())
PY
