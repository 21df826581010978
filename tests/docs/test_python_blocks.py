"""Every block of Python in the documentation runs; see CONTRIBUTING.md."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import Registry, init_default_scope
from mmseg import registry
from mmseg.registry import MODELS

from mcdrl_mmseg.apis import load_segmentor
from mcdrl_mmseg.apis.export.exporting import export_model

_REGISTRIES = [place for place in vars(registry).values() if type(place) is Registry]


def _types(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get('type'), str):
            yield value['type']
        for part in value.values():
            yield from _types(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _types(part)


def _check_types(values: dict[str, Any]) -> None:
    """Check that every component that a config names is registered somewhere."""
    unknown = [
        name
        for value in values.values()
        for name in _types(value)
        if not any(place.get(name) for place in _REGISTRIES)
    ]
    assert not unknown


def _load_config(block, repo_root, tmp_path) -> None:
    configs = shutil.copytree(repo_root / 'configs', tmp_path / 'configs')
    if block.target:
        path = tmp_path / block.target
    else:  # where its bases are found
        bases = re.findall(r"'(\.\.?/[^']+)'", block.text)
        folders = (folder for folder in sorted(configs.rglob('*')) if folder.is_dir())
        path = next(
            folder / 'own.py'
            for folder in folders
            if all((folder / base).is_file() for base in bases)
        )
    path.write_text(block.text)
    cfg = Config.fromfile(path)
    _check_types(cfg._cfg_dict.to_dict())
    if 'model' in cfg:
        MODELS.build(cfg.model)


def test_every_python_block_runs(python_block, desk, repo_root, tmp_path, monkeypatch):
    if python_block.note == 'skip':
        pytest.skip(f'{python_block}: {python_block.target}')
    init_default_scope('mmseg')
    if '_base_' in python_block.text:
        _load_config(python_block, repo_root, tmp_path)
        return
    shutil.copytree(desk, tmp_path / 'desk')
    monkeypatch.chdir(tmp_path / 'desk')
    text = python_block.text
    if 'best.onnx' in text:
        model = load_segmentor('best.pth', device='cpu')
        export_model(model, Path('best.onnx'), 'onnx', (128, 128))
    if not torch.cuda.is_available():
        text = re.sub(r'cuda:\d', 'cpu', text)
    values: dict[str, Any] = {'__name__': 'block'}

    exec(compile('\n' * python_block.line + text, python_block.page, 'exec'), values)

    _check_types({k: v for k, v in values.items() if not k.startswith('__')})
