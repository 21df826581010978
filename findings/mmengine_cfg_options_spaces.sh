#!/usr/bin/env bash
# MMEngine's --cfg-options drops the spaces within a value: the class "colon polyp" becomes "colonpolyp".
#
# Expected: --cfg-options model.classes="['colon polyp','ulcer']" puts these two names into the config, because they are
#   quoted within the brackets.
# Happens: all spaces of a value are dropped, quoted or not. A text prompt "A photo of a polyp" is "Aphotoofapolyp", a
#   folder "/data/my sites" is "/data/mysites". Spaces beside commas and brackets may be dropped on purpose, but those
#   within a name are dropped with them. The help mentions only brackets and commas. No message.
# Versions: onedl-mmengine 0.10.12.
# Why it matters: with text-guided segmentation a config's texts decide what is found. A text encoder accepts a word
#   that does not exist like any other, and the run is recorded with that word.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   merged from a dict: ['colon polyp', 'ulcer'], 'A photo of a polyp'
#   on the command line: ['colonpolyp', 'ulcer'], 'Aphotoofapolyp'
#   without spaces: ['colon_polyp', 'ulcer'], 'A_photo_of_a_polyp'
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 addict==2.4.0 pyyaml==6.0.3 rich==15.0.0 \
  termcolor==3.3.0 packaging==26.3
venv/bin/pip install --quiet --disable-pip-version-check --no-deps onedl-mmengine==0.10.12
cat > config.py <<'PY'
model = dict(classes=['polyp', 'ulcer'], prompt='A polyp')
PY
cat > tool.py <<'PY'
import argparse

from mmengine.config import Config, DictAction

CLASSES = ['colon polyp', 'ulcer']
PROMPT = 'A photo of a polyp'


def read(*words, options=None):
    """As MMSegmentation's tools/train.py reads its arguments."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    given = parser.parse_args(['--cfg-options', *words]).cfg_options if words else options
    config = Config.fromfile('config.py')
    config.merge_from_dict(given)
    return list(config.model.classes), config.model.prompt


def typed(name, prompt):
    return read(f"model.classes=['{name}', 'ulcer']", f"model.prompt='{prompt}'")


merged = read(options={'model.classes': CLASSES, 'model.prompt': PROMPT})
happened = typed('colon polyp', PROMPT)
plain = typed('colon_polyp', PROMPT.replace(' ', '_'))
for name, (classes, prompt) in {
    'merged from a dict': merged, 'on the command line': happened, 'without spaces': plain
}.items():
    print(f'{name}: {classes}, {prompt!r}')
assert merged == (CLASSES, PROMPT)
assert plain == (['colon_polyp', 'ulcer'], 'A_photo_of_a_polyp')
assert happened == (['colonpolyp', 'ulcer'], 'Aphotoofapolyp')
PY
venv/bin/python -W ignore tool.py
