#!/bin/bash
# One search on Slurm, on nodes of its own. Edit what is marked "# EDIT".
#
#   start:   sbatch clusters/slurm.sh
#   watch:   tail -F mollitune-JOBID.out
#   resume:  sbatch clusters/slurm.sh
#   fetch:   mollitune report digits --results ~/searches --output digits.html
#
# Five minutes before its time is up the job ends the search in order, then queues itself again and
# resumes; so it does after a preemption. The nodes must be exclusive: `ray symmetric-run` ends with
# `ray stop`, which would end every Ray process of yours on a shared node.
#SBATCH --job-name=mollitune
#SBATCH --output=mollitune-%j.out
#SBATCH --open-mode=append
#SBATCH --nodes=2                        # EDIT
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --gpus-per-node=4                # EDIT
#SBATCH --time=24:00:00                  # EDIT
#SBATCH --requeue
#SBATCH --signal=B:USR1@300
set -euo pipefail

config=examples/digits.yaml              # EDIT: the search
results=$HOME/searches                   # EDIT: a folder that all nodes share, or s3://bucket/folder
workers=16                               # EDIT: trials at once; they divide all GPUs among them
port=6379                                # EDIT if taken: the head's, on the nodes' own network
PATH="$PWD/.venv/bin:$PATH"              # EDIT: where mollitune is installed, for all nodes

# This script runs on the first node, so that is Ray's head.
head=$(hostname -I | awk '{print $1}')   # EDIT if the nodes do not meet on the first address

# One new token per job, in a file that all nodes see and only you may read.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$HOME/.mollitune-token-$SLURM_JOB_ID"
(umask 077; od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$RAY_AUTH_TOKEN_PATH")
# A folder of the job's own, with a short path: those of sockets may have no more than 107 bytes.
export RAY_TMPDIR="/tmp/mt-$SLURM_JOB_ID"
mkdir -p -m 700 "$RAY_TMPDIR"
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300

driver=(mollitune search "$config" --or-resume --address auto "results=$results" "workers=$workers")

pid_file=$RAY_TMPDIR/driver.pid
interrupted= requeue=
end_search() {  # symmetric-run passes no signal on, so this goes to the search itself
    interrupted=yes
    if [[ -s $pid_file ]]; then kill -TERM "$(<"$pid_file")" || true; fi
}
clean_up() {
    rm -f "$RAY_AUTH_TOKEN_PATH"
    srun --ntasks-per-node=1 rm -rf "$RAY_TMPDIR" || true
}
trap 'requeue=yes; end_search' USR1
trap end_search TERM
trap clean_up EXIT

srun --ntasks-per-node=1 --cpu-bind=none \
    ray symmetric-run --address "$head:$port" --min-nodes "$SLURM_JOB_NUM_NODES" -- \
    bash -c 'echo $$ > "$0"; exec "$@"' "$pid_file" "${driver[@]}" &
step=$!
# a signal ends `wait` early; then wait again, for the exit code of the search
while true; do
    interrupted=
    wait "$step" && code=0 || code=$?
    if [[ -z $interrupted ]]; then break; fi
done

if [[ -n $requeue && $code -ne 0 ]]; then
    clean_up
    trap - EXIT
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
