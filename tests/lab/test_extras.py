import pytest

from mcdrl_lab.extras import EXTRA_OF, missing_package_message


def test_a_missing_package_is_named_with_the_command_that_brings_it():
    error = ModuleNotFoundError('No module named ...', name='onnx.helper')
    assert missing_package_message(error) == (
        "onnx is not installed: pip install 'mcdrl-mmseg[export]'"
    )


def test_a_module_of_no_extra_is_another_error():
    assert missing_package_message(ModuleNotFoundError('x', name='numbers2')) is None


@pytest.mark.parametrize('package', EXTRA_OF)
def test_every_extra_is_one_that_the_package_offers_and_brings_the_package(
    package, repo_root
):
    extra = EXTRA_OF[package]
    names = {'sklearn': 'scikit-learn', 'yaml': 'pyyaml'}
    lines = (repo_root / 'requirements' / f'{extra}.txt').read_text().splitlines()
    brought = {line.partition('>')[0] for line in lines}
    assert names.get(package, package) in brought
    assert f"'{extra}': requirements('{extra}')" in (repo_root / 'setup.py').read_text()
