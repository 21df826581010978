import subprocess
import sys

PROGRAM = """
import sys
import mcdrl_lab.plans.training_imports
print(*sys.modules)
"""
# Some modules that runs import inside functions, which each run would import again.
LATE = {
    'matplotlib.backends.backend_agg',
    'mcdrl_common.site_reliability',
    'mcdrl_common.verification.verify',
    'mcdrl_mmseg.engine.training_reference',
    'mcdrl_mmseg.evaluation.image_record',
    'mcdrl_mmseg.evaluation.lesion_matching',
    'mcdrl_mmseg.models.backbones.feature_cache',
}


def test_modules_that_runs_import_late_are_loaded_before_they_are_forked():
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM], capture_output=True, text=True, check=True
    )
    assert LATE - set(done.stdout.split()) == set()
