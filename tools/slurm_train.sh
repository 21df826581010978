#!/usr/bin/env bash
# Train as a Slurm job.
set -euo pipefail

usage() {
    cat <<'USAGE'
Usage: tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of tools/train.py]

Environment: GPUS (4, all machines together), GPUS_PER_NODE (4; 0: GPUS processes
on CPUs), CPUS_PER_TASK (5), SRUN_ARGS (further arguments of srun, parted by spaces),
PYTHON (python).

Example: GPUS=8 SRUN_ARGS='--time=12:00:00' tools/slurm_train.sh gpu mcdrl CONFIG
USAGE
}

case "${1:-}" in -h | --help) usage && exit 0 ;; esac
if [[ $# -lt 3 ]]; then
    usage >&2
    exit 2
fi
partition=$1 job_name=$2 config=$3
shift 3
gpus_per_node=${GPUS_PER_NODE:-4}
gpu_args=(--gres="gpu:$gpus_per_node" --ntasks-per-node="$gpus_per_node")
# srun takes no 0: where a machine has no GPU, nothing is asked for.
[[ $gpus_per_node -eq 0 ]] && gpu_args=()
read -r -a srun_args <<<"${SRUN_ARGS:-}"

tools=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
export PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}"
exec srun -p "$partition" \
    --job-name="$job_name" \
    --ntasks="${GPUS:-4}" \
    "${gpu_args[@]}" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    "${srun_args[@]}" \
    "${PYTHON:-python}" -u "$tools/train.py" "$config" --launcher slurm "$@"
