#!/usr/bin/env bash
# open_clip treats a token that was added to the tokenizer as the end of the prompt.
#
# Expected: with SimpleTokenizer(additional_special_tokens=['<lesion>']) and a vocabulary of one more, the
#   embedding of "a <lesion> in the colon" depends on all its words.
# Happens: the text is read at the highest token number, which is the end as long as nothing is added: the new token is
#   49408, the end 49407. Attention is causal, so "a <lesion> in the colon" and "a <lesion> in the stomach" have the
#   same embedding, bit for bit. No message. pool_type='eos' is correct, if eos_id is given too: without it the first
#   token is read, and all texts have one embedding.
# Known: transformers' issues 21029 and 24650, of the same model; fixed there, where the config names the end.
# Versions: open_clip_torch 3.3.0, torch 2.13.0, torchvision 0.28.0, timm 1.0.31.
# Why it matters: new words are learned by a separate token for a lesion, a device or a hospital. Prompts that differ
#   only after that token are then the same prompt, in training and in zero-shot classes.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   distance of "a ... in the colon" and "a ... in the stomach"; expected: above 0
#   as it is: polyp 0.183, <lesion> 0.0
#   pool_type='eos', eos_id=49407: polyp 0.183, <lesion> 0.149
#   pool_type='eos': polyp 0.0, <lesion> 0.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 torch==2.13.0 torchvision==0.28.0 timm==1.0.31 open_clip_torch==3.3.0
venv/bin/python -W ignore - <<'PY'
import sys

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
from open_clip import CLIP
from open_clip.tokenizer import SimpleTokenizer

tokenizer = SimpleTokenizer(additional_special_tokens=['<lesion>'], context_length=16)
START, END, ADDED = tokenizer.all_special_ids


@torch.no_grad()
def distances(**options):
    """Between two prompts that differ in their last word: of a word that was there, and of the new one."""
    torch.manual_seed(0)
    vision = dict(image_size=32, patch_size=16, width=64, layers=1, head_width=32)
    text = dict(context_length=16, vocab_size=tokenizer.vocab_size, width=64, heads=2, layers=2, **options)
    model = CLIP(embed_dim=32, vision_cfg=vision, text_cfg=text).eval()
    found = []
    for word in ('polyp', '<lesion>'):
        tokens = tokenizer([f'a {word} in the {organ}' for organ in ('colon', 'stomach')])
        assert (tokens[0] != tokens[1]).sum() == 1 and (ADDED in tokens[0]) == (word == '<lesion>')
        colon, stomach = model.encode_text(tokens, normalize=True)
        found.append(round(float((colon - stomach).norm()), 3))
    return found


results = {
    'as it is': distances(),
    f"pool_type='eos', eos_id={END}": distances(pool_type='eos', eos_id=END),
    "pool_type='eos'": distances(pool_type='eos'),
}
print('distance of "a ... in the colon" and "a ... in the stomach"; expected: above 0')
for name, (polyp, lesion) in results.items():
    print(f'{name}: polyp {polyp}, <lesion> {lesion}')
as_it_is, by_end, without_id = results.values()
assert (END, ADDED, tokenizer.vocab_size) == (49407, 49408, 49409)
assert as_it_is[0] == by_end[0] > 0.05 and by_end[1] > 0.05
assert as_it_is[1] == 0 and without_id == [0, 0]
PY
