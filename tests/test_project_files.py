"""The files about the project agree with each other."""

import re
import subprocess

import yaml

import mcdrl_mmseg


def test_the_version_is_the_same_everywhere(repo_root):
    citation = yaml.safe_load((repo_root / 'CITATION.cff').read_text())
    newest = re.search(r'^## (\S+?),', (repo_root / 'CHANGELOG.md').read_text(), re.M)

    assert citation['version'] == mcdrl_mmseg.__version__
    assert newest[1] == mcdrl_mmseg.__version__


def test_the_github_workflow_runs_the_ci_script_with_the_pinned_python(repo_root):
    workflow = yaml.safe_load((repo_root / '.github/workflows/ci.yml').read_text())

    jobs = workflow['jobs']
    commands = [step.get('run') for step in jobs['checks']['steps']]
    assert 'bash .ci/run' in commands
    assert 'make docs' in [step.get('run') for step in jobs['docs']['steps']]
    versions = {
        step['with']['python-version']
        for job in jobs.values()
        for step in job['steps']
        if 'python-version' in step.get('with', {})
    }
    assert versions == {'3.11'}, 'the version of the pinned set'


def test_issue_forms_have_the_fields_that_github_requires(repo_root):
    forms = sorted((repo_root / '.github/ISSUE_TEMPLATE').glob('*.yml'))
    forms = [form for form in forms if form.name != 'config.yml']

    assert len(forms) >= 2
    for form in forms:
        content = yaml.safe_load(form.read_text())
        assert {'name', 'description', 'body'} <= set(content)
        identifiers = [part['id'] for part in content['body']]
        assert len(identifiers) == len(set(identifiers))
        for part in content['body']:
            assert part['type'] in {'textarea', 'input', 'checkboxes', 'dropdown'}
            assert part['attributes']['label']


def test_the_checks_before_a_commit_run_the_pinned_tools(repo_root):
    hooks = yaml.safe_load((repo_root / '.pre-commit-config.yaml').read_text())
    entries = {
        hook['id']: hook['entry'] for repo in hooks['repos'] for hook in repo['hooks']
    }

    pinned = (repo_root / 'requirements/tested.txt').read_text()
    assert entries['ruff'].startswith('.venv/bin/ruff check')
    assert {'ruff', 'ruff-format', 'mypy'} == set(entries)
    assert re.search(r'^ruff==', pinned, re.M) and re.search(r'^mypy==', pinned, re.M)


def test_make_without_a_target_prints_the_help_of_every_target(repo_root):
    printed = [
        subprocess.run(
            ['make', '--no-print-directory', *target],
            cwd=repo_root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for target in ([], ['help'])
    ]

    assert printed[0] == printed[1]
    makefile = (repo_root / 'Makefile').read_text()
    (targets,) = re.findall(r'^\.PHONY: (.*)$', makefile, re.M)
    for target in set(targets.split()) - {'help'}:
        assert re.search(rf'^make [\w ]*\b{target}\b', printed[0], re.M), target
    assert max(map(len, printed[0].splitlines())) <= 80
