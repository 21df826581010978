"""From one image to an explanation, step by step.

    python docs/quickstart.py CHECKPOINT IMAGE [OUT]

CHECKPOINT is any MCDRL checkpoint (`make demo` trains one in a few minutes), IMAGE
an endoscopic image; results go to the folder OUT ("quickstart").
"""

import sys
from pathlib import Path

import numpy as np
from mmcv import imwrite

import mcdrl_mmseg  # noqa: F401  (registers the components)
from mcdrl_mmseg.apis import MCDRLInferencer, explain, predict_at_gate
from mcdrl_mmseg.apis.image_pipeline import read_image
from mcdrl_mmseg.visualization.explanation_figure import explanation_figure
from mcdrl_mmseg.visualization.overlay import mask_overlay

if len(sys.argv) not in (3, 4):
    sys.exit(__doc__)
checkpoint, image_path = sys.argv[1:3]
out = Path(sys.argv[3] if len(sys.argv) == 4 else 'quickstart')
out.mkdir(parents=True, exist_ok=True)

# 1. The checkpoint is all it takes: config, prompts and their embeddings are inside,
#    and nothing in it is executed.
inferencer = MCDRLInferencer(weights=checkpoint, show_progress=False)
model = inferencer.model

# 2. Segment. `predict` takes any number of images, paths or arrays, blue first.
image = read_image(image_path)
(prediction,) = inferencer.predict([image])
area = (prediction.labels > 0).mean()
print(f'Lesion: {area:.1%} of the image')
overlay = mask_overlay(image[..., ::-1].copy(), prediction.labels)
imwrite(overlay[..., ::-1], str(out / 'overlay.png'))

# 3. Explain: what CLIP saw, which imaging conditions were met, what changed.
explanation = explain(model, image)
rows, columns = explanation.kept.shape
print(f'Regions kept: {explanation.kept.sum()} of {rows} x {columns} positions')
for number in np.argsort(-explanation.attention)[:3]:
    name, weight = explanation.confounder_names[number], explanation.attention[number]
    print(f'  attention to "{name}": {weight:.2f}')

# 4. Turn the intervention up and down. Gate 0 is the network without it, exactly.
for gate in (0.0, 0.5, 1.0):
    area = (predict_at_gate(model, image, gate) > 0.5).mean()
    print(f'Lesion at gate {gate}: {area:.1%} of the image')

# 5. All of it on one page.
figure = explanation_figure(explanation, title=Path(image_path).name)
figure.savefig(out / 'explanation.png', dpi=110)
print(f'Look at {out / "overlay.png"} and {out / "explanation.png"}')
