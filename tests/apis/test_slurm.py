import pytest

from mcdrl_mmseg.apis.slurm import SlurmError, set_rendezvous

STEP = dict(
    SLURM_JOB_ID='7',
    SLURM_STEP_ID='0',
    SLURM_PROCID='1',
    SLURM_NTASKS='2',
    SLURM_LOCALID='1',
    SLURM_NNODES='1',
    SLURM_NODELIST='node3',
)


def test_a_process_gets_its_rank_and_the_address_of_the_first_process():
    environment = dict(STEP)
    set_rendezvous(environment)
    assert environment['RANK'] == '1'
    assert environment['LOCAL_RANK'] == '1'
    assert environment['WORLD_SIZE'] == '2'
    assert environment['MASTER_ADDR'] == '127.0.0.1'


def test_each_step_of_each_job_has_its_own_port():
    """Two steps of one job, and two jobs, on one machine."""
    ports = set()
    for job, step in [('7', '0'), ('7', '1'), ('8', '0')]:
        environment = {**STEP, 'SLURM_JOB_ID': job, 'SLURM_STEP_ID': step}
        set_rendezvous(environment)
        ports.add(int(environment['MASTER_PORT']))
    assert len(ports) == 3
    # Below the range from which Linux assigns ports itself.
    assert all(20000 <= port < 30000 for port in ports)


def test_world_size_of_a_smaller_step_counts_only_its_own_processes():
    environment = {**STEP, 'SLURM_NTASKS': '8', 'SLURM_STEP_NUM_TASKS': '2'}
    set_rendezvous(environment)
    assert environment['WORLD_SIZE'] == '2'


def test_an_address_and_a_port_that_are_set_are_kept():
    environment = {**STEP, 'MASTER_ADDR': '10.0.0.7', 'MASTER_PORT': '1234'}
    set_rendezvous(environment)
    assert environment['MASTER_ADDR'] == '10.0.0.7'
    assert environment['MASTER_PORT'] == '1234'


def test_a_process_that_srun_did_not_start_is_refused():
    environment = {k: v for k, v in STEP.items() if k != 'SLURM_PROCID'}
    with pytest.raises(SlurmError, match=r"'SLURM_PROCID' is not set .* with srun"):
        set_rendezvous(environment)
