"""Cost of plans, steps, images and tests compared with an earlier commit."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mcdrl_common.atomic_write import write_text
from mcdrl_lab.errors import ProtocolError

from .command_cost import Cost, measure_command

_LAB = ('-m', 'mcdrl_lab')
_TINY = 'clip-tiny-rn_fcn'
_SIMULATED = 'configs/{}_6e_endosim-128x128.py'
_ENDO = 'clip-endo-lite0_segformer_8e_endoscopy-sites-160x160'
_HELD_OUT = 'polypgen_c1'
_PLAN = ('--jobs', '2', '--cfg-options')


@dataclass(frozen=True)
class Row:
    """One ratio and its goal.

    Args:
        what: What is measured.
        unit: Unit of both figures.
        reference: The figure to compare with: the earlier commit's, or another.
        figure: The present figure.
        goal: Goal of ``figure / reference``.
        at_least: Whether the goal is the smallest allowed ratio, not the largest.
    """

    what: str
    unit: str
    reference: float
    figure: float
    goal: float
    at_least: bool = False

    @property
    def ratio(self) -> float:
        """The present figure divided by the reference."""
        return self.figure / self.reference

    @property
    def met(self) -> bool:
        """Whether the ratio, unrounded, meets its goal."""
        if self.at_least:
            return self.ratio >= self.goal
        return self.ratio <= self.goal


def table(rows: Sequence[Row]) -> str:
    """Format rows as a Markdown table.

    Args:
        rows: The measured rows.
    """
    lines = [
        '| what | compared with | now | ratio | goal | |',
        '|---|---:|---:|---:|---:|---|',
    ]
    for row in rows:
        bound = f'{"at least " if row.at_least else ""}{row.goal:g}'
        lines.append(
            f'| {row.what} | {row.reference:.1f} {row.unit} | {row.figure:.1f} '
            f'{row.unit} | {row.ratio:.2f} | {bound} | '
            f'{"met" if row.met else "**missed**"} |'
        )
    return '\n'.join(lines)


@dataclass(frozen=True)
class SpeedGoals:
    """Measures all goals one after another.

    Args:
        before: Checkout of the earlier commit.
        now: Checkout that contains this code.
        data: Folder of the real sites.
        out: Folder for everything that the commands write.
        with_tests: Whether to run both commits' tests too.
    """

    before: Path
    now: Path
    data: Path
    out: Path
    with_tests: bool = False

    def measure(self, tell: Callable[[str], object]) -> list[Row]:
        """Measure everything, and write the rows so far after each part.

        Args:
            tell: Called with each row as a line of the table.

        Raises:
            ProtocolError: A command failed.
        """
        rows: list[Row] = []
        for row in self._rows():
            rows.append(row)
            tell(table([row]).splitlines()[-1])
            content = [asdict(each) | dict(ratio=each.ratio) for each in rows]
            write_text(self.out / 'speed_goals.json', json.dumps(content, indent=1))
            write_text(self.out / 'speed_goals.md', table(rows) + '\n')
        return rows

    def _rows(self) -> Iterator[Row]:
        yield from self._simulated_plan()
        yield from self._real_plan()
        yield self._training_step()
        yield from self._inference()
        yield self._exported()
        if self.with_tests:
            yield from self._tests()

    def _simulated_plan(self) -> Iterator[Row]:
        sites = self.out / 'endosim'
        draw = ['simulate', str(sites), '--images-per-site', '100', '--spurious', '1.0']
        self._run(self.now, *draw, '--seed', '0')
        plan = [
            'leave-one-site-out',
            f'full={_SIMULATED.format(f"mcdrl/mcdrl_{_TINY}-map")}',
            f'baseline={_SIMULATED.format(f"baselines/{_TINY}")}',
            *('--sites', 'endosim_a', 'endosim_b', '--seeds', '2', *_PLAN),
            *('train_cfg.max_epochs=12', 'param_scheduler.1.T_max=12'),
        ]
        variables = dict(MCDRL_ENDOSIM_ROOT=str(sites))
        yield from self._plan('simulated', 'EndoSim', plan, variables, 0.4)

    def _real_plan(self) -> Iterator[Row]:
        plan = [
            'leave-one-site-out',
            f'full=configs/mcdrl/mcdrl_{_ENDO}.py',
            f'baseline=configs/baselines/{_ENDO}.py',
            *('--sites', _HELD_OUT, '--seeds', '1', *_PLAN),
            'model.backbone.frozen=True',
            'train_dataloader.dataset.max_images=40',
            'val_dataloader.dataset.max_images=40',
            'test_dataloader.dataset.max_images=60',
        ]
        yield from self._plan('real', 'real sites', plan, {}, 0.5)

    def _plan(
        self,
        name: str,
        sites: str,
        plan: list[str],
        variables: dict[str, str],
        goal: float,
    ) -> Iterator[Row]:
        """Run a plan at the earlier commit; then now, with empty and filled cache."""
        outs = [
            str(self.out / f'{name}_{which}') for which in ('before', 'now', 'again')
        ]
        kept = ['--feature-cache', str(self.out / f'{name}_features')]
        before, empty, filled = (
            self._run(tree, *plan, *more, '--out', out, variables=variables)
            for tree, more, out in zip(
                (self.before, self.now, self.now), ([], kept, kept), outs
            )
        )
        what = f'plan on {sites}, frozen tower'
        seconds = before.wall_s, empty.wall_s
        yield Row(f'{what}, no features kept yet', 's', *seconds, goal)
        yield Row(f'{what}, features kept', 's', before.wall_s, filled.wall_s, goal)
        peaks = before.peak_mb, empty.peak_mb
        yield Row(f'{what}, most memory at a time', 'MB', *peaks, 0.8)

    def _training_step(self) -> Row:
        speeds = self.out / 'plain_loop.json'
        against = ['--against', f'configs/baselines/{_ENDO}.py', '--out', str(speeds)]
        self._run(self.now, 'plain-loop', str(self.data), *against, '--steps', '20')
        found = json.loads(speeds.read_text())
        what = 'training step, trained tower, beside a plain loop'
        return Row(what, 'images/s', found['plain'], found['trainer'], 0.85, True)

    def _inference(self) -> Iterator[Row]:
        folder = self.out / 'inference'
        against = ['--against', 'tower', 'folded-tower']
        how = ['--size', '160', '--threads', '1', '--rounds', '60', '--time-only']
        config = f'configs/mcdrl/mcdrl_{_ENDO}.py'
        what = ['benchmark', config, *against, *how, '--cpu-time', '--out', str(folder)]
        self._run(self.now, *what)
        content = json.loads((folder / 'benchmark.json').read_text())
        own, *towers = (
            each['milliseconds']['median'] for each in content['results'][0]
        )
        name = 'one image, MCDRL beside the bare tower'
        loaded, folded = towers
        yield Row(f'{name} as it is loaded', 'ms', loaded, own, 1.1)
        # A fair comparison: in inference the model folds its tower too.
        yield Row(
            f'{name} without its batch norms, stricter than asked',
            'ms',
            folded,
            own,
            1.1,
        )

    def _exported(self) -> Row:
        (checkpoint,) = (self.out / 'real_now').glob('full/*/*/best_*.pth')
        file, times = self.out / 'best.onnx', self.out / 'exported.json'
        arguments = [str(checkpoint), '--format', 'onnx', '--out', str(file)]
        self._run(self.now, *arguments, program=['tools/export.py'])
        site = self.data / _HELD_OUT
        folders = ['--images', str(site / 'images'), '--masks', str(site / 'masks')]
        compared = ['compare-exported', str(checkpoint), str(file), *folders]
        self._run(self.now, *compared, '--rounds', '60', '--out', str(times))
        rows = json.loads(times.read_text())['rows']
        pytorch, onnx = (row['milliseconds'] for row in rows)
        return Row('one image, ONNX beside PyTorch', 'ms', pytorch, onnx, 0.8)

    def _tests(self) -> Iterator[Row]:
        # Failing tests of the earlier commit count too.
        before, now = (
            self._make_test(tree, failures=tree == self.before)
            for tree in (self.before, self.now)
        )
        yield Row('tests, two processes', 's', before.wall_s, now.wall_s, 0.7)
        largest = before.largest_mb, now.largest_mb
        yield Row('tests, most memory of a process', 'MB', *largest, 0.4)

    def _make_test(self, tree: Path, failures: bool) -> Cost:
        """Run a commit's tests in an environment of their own.

        In a shared environment, processes that the tests start, as jobs of Slurm, would
        find the other commit's package. Two processes have one thread each, as in
        `.ci/run` of both commits.
        """
        environment = {
            **os.environ,
            'MCDRL_DATA_ROOT': str(self.data),
            'OMP_NUM_THREADS': '1',
        }
        environment.pop('PYTHONPATH', None)
        self._measure(tree, ['make', 'install'], environment)
        command = ['make', 'test', 'PYTEST_ARGS=-q -n 2 --dist loadfile']
        return self._measure(tree, command, environment, failures)

    def _run(
        self,
        tree: Path,
        *arguments: str,
        program: Sequence[str] = _LAB,
        variables: Mapping[str, str] | None = None,
    ) -> Cost:
        """Run a program, by default the lab, with the packages of a checkout."""
        shared = dict(PYTHONPATH=str(tree), MCDRL_DATA_ROOT=str(self.data))
        environment = {**os.environ, **shared, **(variables or {})}
        return self._measure(tree, [sys.executable, *program, *arguments], environment)

    def _measure(
        self,
        tree: Path,
        command: list[str],
        environment: dict[str, str],
        failures: bool = False,
    ) -> Cost:
        cost = measure_command(command, tree, environment)
        if cost.code and not failures:
            raise ProtocolError(
                f'{" ".join(command)} ended with code {cost.code} in {tree}; its '
                f'output is above. Results until then are in {self.out}.'
            )
        return cost
