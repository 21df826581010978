#!/usr/bin/env bash
# Test on several GPUs, or processes of a CPU, of one or several machines.
set -euo pipefail

usage() {
    cat <<'USAGE'
Usage: tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of tools/test.py]

GPUS is the number of processes on this machine; without a GPU they share the CPU.
Environment: NNODES (1), NODE_RANK (0), MASTER_ADDR (127.0.0.1), PORT (29500),
PYTHON (python).

Example: tools/dist_test.sh CONFIG work_dirs/try/epoch_5.pth 2 --show-dir overlays
USAGE
}

case "${1:-}" in -h | --help) usage && exit 0 ;; esac
if [[ $# -lt 3 ]]; then
    usage >&2
    exit 2
fi
config=$1 checkpoint=$2 gpus=$3
shift 3

case "$gpus" in
*[!0-9]* | '')
    echo "dist_test.sh: GPUS='$gpus': expected the number of processes." >&2
    usage >&2
    exit 2
    ;;
esac

tools=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
export PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}"
exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$gpus" \
    "$tools/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
