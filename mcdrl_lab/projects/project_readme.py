"""The README of a project: the next commands and how long they take."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from .project_files import SEEDS, Project

# (description, command, expected time)
_Step = tuple[str, str, str]

_BUILTIN = ('endo-lite0', 'tiny-rn')


def readme(project: Project, folder: Path, tools: str) -> str:
    """Write the README of a project.

    Args:
        project: The project.
        folder: The project's folder, as it appears in commands.
        tools: Prefix of the tools' file names in commands: ``tools/``, or the folder in
            the installed package.
    """
    home = shlex.quote(str(folder))
    work = f'{home}/work'
    best = f'{work}/mcdrl/best_mDice_fg_epoch_*.pth'
    first = project.sites[0]
    images = shlex.quote(
        str(project.data_root / (first.folder or first.name) / first.img_dir)
    )
    further = _steps_of_one_site if project.is_single else _steps_of_several_sites
    steps = [*_first_steps(project, home, tools), *further(project, home, tools)]
    return '\n'.join(
        [
            f'# {folder.name}',
            '',
            *_facts(project),
            '',
            '## Next',
            '',
            'Times are estimates for two CPU cores; a GPU is many times faster.',
            '',
            *_numbered(steps),
            '## With the trained model',
            '',
            '```bash',
            f'python {tools}predict.py {best} {images} --out {work}/predictions',
            f'python {tools}explain.py {best} IMAGE --out {work}/explanations',
            f'python {tools}export.py {best} --out {work}/model.onnx',
            '```',
            '',
            *([] if project.is_single else _for_a_further_hospital(home, tools)),
            '## What you may change',
            '',
            *_changes(project),
            '',
        ]
    )


def _first_steps(project: Project, home: str, tools: str) -> list[_Step]:
    first = project.sites[0].name
    return [
        (
            'Look for faults in images and masks',
            f'python -m mcdrl_lab verify {home}/mcdrl.py',
            'seconds; exit code 0 means none',
        ),
        (
            'Train MCDRL' + ('' if project.is_single else f' without {first}'),
            f'python {tools}train.py {home}/mcdrl.py --work-dir {home}/work/mcdrl',
            _minutes(project.run_minutes),
        ),
    ]


def _steps_of_one_site(project: Project, home: str, tools: str) -> list[_Step]:
    """Steps that compare MCDRL with the same network without it, at one hospital."""
    work = f'{home}/work'
    tests = [
        f'python {tools}test.py {home}/{name}.py '
        f'{work}/{name}/best_mDice_fg_epoch_*.pth --work-dir {work}/{name}'
        for name in ('mcdrl', 'baseline')
    ]
    return [
        (
            'Train the same network without MCDRL',
            f'python {tools}train.py {home}/baseline.py --work-dir {work}/baseline',
            _minutes(project.run_minutes),
        ),
        ('Test both on the validation part', '\n'.join(tests), 'seconds'),
        (
            'Look at training curves and the last validation',
            f'python -m mcdrl_lab plot-run {work}/mcdrl',
            'seconds',
        ),
    ]


def _steps_of_several_sites(project: Project, home: str, tools: str) -> list[_Step]:
    """Steps that run a plan in which every hospital is held out."""
    plan, runs = f'{home}/work/plan', 2 * SEEDS * len(project.sites)
    return [
        (
            f'Hold every hospital out, {SEEDS} seeds, with and without MCDRL',
            f'python -m mcdrl_lab ablation {home}/plan.yml --seeds {SEEDS} '
            f'--out {plan}',
            f'{runs} runs, {_minutes(runs * project.run_minutes)}; stop it whenever '
            'you like: the same command continues it',
        ),
        (
            'Is MCDRL better?',
            f'python -m mcdrl_lab compare {plan} mcdrl baseline',
            'seconds',
        ),
        (
            'One page for colleagues',
            f'python -m mcdrl_lab report {plan} --out {home}/report.html',
            'a minute',
        ),
    ]


def _for_a_further_hospital(home: str, tools: str) -> list[str]:
    """Section on a model for new hospitals, trained on all sites.

    The plan estimates its performance there.
    """
    work = f'{home}/work/all'
    return [
        '## For a further hospital',
        '',
        'Train on all of yours, and use that checkpoint as above. No hospital is held '
        'out, so its own scores are optimistic: see the plan for what to expect at a '
        'hospital that it has not seen. `site-check` compares images from there, '
        'without masks, with yours.',
        '',
        '```bash',
        f'MCDRL_HELD_OUT=none python {tools}train.py {home}/mcdrl.py --work-dir {work}',
        f'python -m mcdrl_lab site-check {work}/best_mDice_fg_epoch_*.pth THEIR_IMAGES '
        f'--out {home}/work/site_check',
        '```',
        '',
    ]


def _minutes(minutes: float) -> str:
    if minutes < 1.5:
        return 'about a minute'
    if minutes < 90:
        return f'about {minutes:.0f} minutes'
    return f'about {minutes / 60:.0f} hours'


def _numbered(steps: Sequence[_Step]) -> list[str]:
    lines = []
    for number, (what, command, time) in enumerate(steps, start=1):
        lines += [f'{number}. {what} ({time}):', '', '   ```bash']
        lines += [f'   {line}' for line in command.splitlines()]
        lines += ['   ```', '']
    return lines


def _facts(project: Project) -> list[str]:
    names = ', '.join(f'{name} ({count})' for name, count in project.images.items())
    classes = project.prompts['classes']
    labels = (
        f'Lesion: {classes[0]}, label 1 beside the background.'
        if len(classes) == 1
        else f'Lesions: {", ".join(classes)}. All have label 1, beside the background; '
        'only the prompts distinguish them.'
    )
    lines = [
        f'- Hospitals (images): {names}; read from `{project.data_root}`.',
        f'- {labels}',
        f'- Model: `{project.tower_name}` at {project.size} x {project.size} pixels, '
        f'{project.epochs} epochs, batches of {project.batch_size}.',
    ]
    if project.lesion_free_sites:
        free = ', '.join(site.name for site in project.lesion_free_sites)
        lines.append(
            f'- No image of {free} shows a lesion: used for training in every run, and '
            'never held out.'
        )
    if project.tower_name in _BUILTIN:
        lines.append('- Weights are in the package: no network is needed.')
    elif project.weights:
        lines.append(f'- CLIP weights: `{project.weights}`.')
    else:
        lines.append(
            f'- The first training downloads {project.tower.download} MB of CLIP '
            "weights. Without a network, give a file, here OpenAI's: `--cfg-options "
            'model.backbone.pretrained=/path/FILE model.backbone.quick_gelu=True`.'
        )
    if project.modality != 'endoscopy' and project.tower_name in _BUILTIN:
        lines.append(
            f'- **The built-in weights know only endoscopy: the words of '
            f'{project.modality} mean little to them.** The network is trained whole '
            'and works, but the selection of regions starts from noise. Published '
            'weights (`--model vit-b16`) are better.'
        )
    if project.is_single:
        lines.append(
            '- **One hospital**: its validation part is also the test, and chooses the '
            'checkpoint. The score is optimistic and says nothing about other '
            'hospitals; holding one out needs at least two.'
        )
    return lines


def _changes(project: Project) -> list[str]:
    held_out = '' if project.is_single else '; `MCDRL_HELD_OUT=NAME` holds out another'
    return [
        f'- `project.py`: hospitals, `image_size`, `epochs`, `rate`{held_out}.',
        '- `mcdrl.py`: the words, the start of the intervention, its layers '
        '(`model.decode_head.intervention`).',
        '- Keep all else the same in both configs: if two things differ, a comparison '
        'shows nothing.',
    ]
