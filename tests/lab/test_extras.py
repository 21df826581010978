import pytest

from mcdrl_lab.extras import EXTRA_OF, missing_package_message


def test_a_missing_package_is_named_with_the_command_that_installs_it():
    error = ModuleNotFoundError('No module named ...', name='onnx.helper')
    assert missing_package_message(error) == (
        "onnx is not installed: pip install 'mcdrl-mmseg[export]'"
    )


def test_a_missing_module_outside_the_extras_has_no_message():
    assert missing_package_message(ModuleNotFoundError('x', name='numbers2')) is None


@pytest.mark.parametrize('package', EXTRA_OF)
def test_the_extra_named_for_a_package_requires_that_package(package, repo_root):
    extra = EXTRA_OF[package]
    names = {'sklearn': 'scikit-learn', 'yaml': 'pyyaml'}
    lines = (repo_root / 'requirements' / f'{extra}.txt').read_text().splitlines()
    brought = {line.partition('>')[0] for line in lines}
    assert names.get(package, package) in brought
    assert f"'{extra}': requirements('{extra}')" in (repo_root / 'setup.py').read_text()
