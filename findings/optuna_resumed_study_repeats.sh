#!/usr/bin/env bash
# An Optuna study that is resumed with its seed tries the same parameters again.
#
# Expected: load_if_exists=True goes on where the study stopped; two jobs of five trials are a study
#   of ten.
# Happens: the storage has no state of the sampler, and one with a seed begins anew at each start.
#   TPE draws its first 10 trials at random: the second job repeats the five of the first. With
#   RandomSampler four jobs have 5 different trials of 20. With a seed for each job all differ.
# Versions: Optuna 5.0.0.
# Why it matters: searches on a cluster are cut into jobs by the time limit, and seeds are set for
#   the sake of repeatability. Half of the trainings or more go to points that are known, and the
#   table shows them as trials. Give each job a seed of its own, or keep the sampler as a file.
# Seen: 2026-11-29, Linux x86-64, Python 3.11, exit status 0. Output:
#   expected: as many different trials as trials
#   TPE, one job of 10: 10 trials, 10 different
#   TPE, two jobs of 5, one seed: 10 trials, 5 different
#   TPE, two jobs of 5, two seeds: 10 trials, 10 different
#   random, four jobs of 5, one seed: 20 trials, 5 different
#   random, four jobs of 5, four seeds: 20 trials, 20 different
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check optuna==5.0.0
venv/bin/python -W ignore - <<'PY'
import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)


def search(name, sampler, seeds, trials):
    for seed in seeds:
        study = optuna.create_study(
            study_name='lr',
            storage=f'sqlite:///{name}.db',
            load_if_exists=True,
            sampler=sampler(seed=seed),
        )
        study.optimize(lambda trial: (trial.suggest_float('lr', 0, 1) - 0.3) ** 2, n_trials=trials)
    tried = [trial.params['lr'] for trial in study.trials]
    return len(tried), len(set(tried))


tpe, random = optuna.samplers.TPESampler, optuna.samplers.RandomSampler
found = {
    'TPE, one job of 10': search('a', tpe, [0], 10),
    'TPE, two jobs of 5, one seed': search('b', tpe, [0] * 2, 5),
    'TPE, two jobs of 5, two seeds': search('c', tpe, [0, 1], 5),
    'random, four jobs of 5, one seed': search('d', random, [0] * 4, 5),
    'random, four jobs of 5, four seeds': search('e', random, range(4), 5),
}
print('expected: as many different trials as trials')
for name, (trials, different) in found.items():
    print(f'{name}: {trials} trials, {different} different')
assert list(found.values()) == [(10, 10), (10, 5), (10, 10), (20, 5), (20, 20)]
PY
