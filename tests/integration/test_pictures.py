"""The commands that draw runs, on a real run of a few steps."""

import json
import re
import sys

import cv2
import pytest

_LAB = (sys.executable, '-m', 'mcdrl_lab')


@pytest.fixture(scope='module')
def drawn(reference):
    """A second training, with the hook, and a test that writes per-image records."""
    bench = reference.bench
    options = [
        'default_hooks.mcdrl_visualization.type=MCDRLVisualizationHook',
        'default_hooks.mcdrl_visualization.interval=2',
        # The other forms have no attention to draw.
        'model.decode_head.intervention.approximation=attention',
        'train_cfg.max_epochs=1',
        'custom_hooks.1.ramp=0.5',
        'test_dataloader.dataset.max_images=3',
    ]
    bench.tool('drawn', 'train.py', reference.config, options=options, fresh=False)
    records = bench.folder / 'drawn/test_records.json'
    bench.tool(
        'drawn_test',
        'test.py',
        reference.config,
        bench.folder / 'drawn/epoch_1.pth',
        options=[*options, f'test_evaluator.records_path={records}'],
        fresh=False,
    )
    return bench.folder / 'drawn'


def command(reference, name, *arguments):
    # Another file starts report as a user does.
    fresh = name != 'report'
    return reference.bench.start(name, *_LAB, name, *arguments, fresh=fresh)


def test_the_hook_draws_pictures_and_logs_the_attention_in_training(drawn):
    images = {path.name for path in drawn.glob('*/vis_data/vis_image/*.png')}
    # The last validation is drawn whatever the interval; one image of its one site.
    assert 'mcdrl_attention_1.png' in images
    assert len(images) == 2
    assert all(
        cv2.imread(str(path)).shape[1] > 300
        for path in drawn.glob('*/vis_data/vis_image/*.png')
    )
    (log,) = drawn.glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    attention = [v for row in rows for k, v in row.items() if k.startswith('attention')]
    assert len(attention) == 12
    assert sum(attention) == pytest.approx(1, abs=1e-4)
    # Each loss and the gate are logged without the hook.
    parts = {key.rpartition('.')[2] for key in rows[0]}
    assert {'loss', 'loss_ce', 'loss_causal', 'loss_contrast', 'gate'} <= parts


def test_curves_are_drawn_from_the_work_folder(reference, drawn):
    run = command(reference, 'plot-run', drawn, reference.run.work_dir)
    picture = cv2.imread(str(drawn / 'curves.png'))
    assert picture.shape[0] > 800 and picture.shape[1] > 800
    assert run.output.strip().endswith('curves.png')


def test_embedding_writes_a_picture_and_the_scores_of_the_probes(reference, drawn):
    out = drawn / 'new/embedding.png'
    run = command(
        reference,
        'embedding',
        reference.config,
        drawn / 'epoch_1.pth',
        *('--loaders', 'train', '--out', out),
    )
    assert cv2.imread(str(out)).shape[1] > 800
    content = json.loads(out.with_suffix('.json').read_text())
    # Four training images of each of five sites.
    assert content['images'] == 20
    assert content['probes']['F/site']['chance'] == 0.2
    assert 0 <= content['probes']['F_ca/site']['accuracy'] <= 1
    assert 'site   from F_ca' in run.output


def test_report_holds_cases_attention_and_curves_of_the_run(reference, drawn):
    best = next(drawn.glob('best_*.pth'), drawn / 'epoch_1.pth')
    # The run's own config imports the bench's probe: only a config that is named may.
    (config,) = drawn.glob('*/vis_data/config.py')
    command(reference, 'report', drawn, '--checkpoint', best, '--config', config)
    text = (drawn / 'report.html').read_text()
    assert 'No picture of' not in text
    # At least one case (as many as images with a lesion), no more than three.
    assert 1 <= text.count('src="data:image/jpeg;base64,') <= 3
    # Box plot, attention, curves.
    assert text.count('src="data:image/png;base64,') == 3
    assert not re.search(r'(src|href)="(?!data:image/|#)', text)


def test_report_of_a_missing_folder_ends_with_a_one_line_error(reference, drawn):
    run = reference.bench.start(
        'wrong',
        *_LAB,
        'report',
        reference.bench.folder / 'nothing',
        check=False,
    )
    assert run.returncode == 2
    assert run.output.strip().splitlines()[-1].startswith('error: ')
    assert 'Traceback' not in run.output
