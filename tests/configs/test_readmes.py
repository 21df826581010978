"""Every folder of configs has a README that describes it."""

import re

import pytest

from mcdrl_lab.plans.ablation import load_ablation


def test_every_folder_of_configs_has_a_readme(repo_root):
    configs = repo_root / 'configs'
    folders = {configs, *(file.parent for file in configs.rglob('*.py'))}
    assert not [folder for folder in folders if not (folder / 'README.md').is_file()]


@pytest.mark.parametrize('folder', ['mcdrl', 'baselines', 'ablation_plans', 'mixing'])
def test_a_readme_names_each_config_of_its_folder(repo_root, folder):
    folder = repo_root / 'configs' / folder
    page = (folder / 'README.md').read_text()
    files = [f for f in folder.iterdir() if f.suffix in ('.py', '.yml')]
    assert files
    assert not [f.name for f in files if f.name not in page]


def test_the_table_of_ablation_plans_has_the_number_of_variants_of_each_plan(repo_root):
    folder = repo_root / 'configs/ablation_plans'
    rows = re.findall(
        r'\| \[`(\w+\.yml)`\][^|]*\| (\d+) \|', (folder / 'README.md').read_text()
    )
    assert len(rows) == len(list(folder.glob('*.yml')))
    assert rows == [(plan, str(len(load_ablation(folder / plan)))) for plan, _ in rows]
