# shellcheck shell=bash
# What the scripts beside it share; they source it. `run MODULE [ARGUMENT ...]` starts `python -m MODULE` once a task,
# and puts the job back into the queue when it had to make room. See README.md.

run() {
    local status=0 launcher=() python=python

    # SLURM tells all processes of a job to end, this shell too; it stays to read the exit code and to requeue.
    trap ':' TERM

    # srun takes no CPUs from the job by itself (since SLURM 22.05), and workers and threads would share one.
    export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}
    # Without it every task would start as many threads as its node has CPUs.
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$SRUN_CPUS_PER_TASK}
    # A port of this job's own, below those that the kernel gives away; jobs may share a node.
    export MASTER_PORT=${MASTER_PORT:-$((10000 + SLURM_JOB_ID % 20000))}
    export PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 # lines appear when they are written; a crash tells where

    # The project's environment, or one that was active at submission, or an image with the checkout mounted in it.
    if [[ ${CONTAINER:-} == *.sif ]]; then
        launcher=(apptainer exec --nv --bind "$PWD${CONTAINER_MOUNTS:+,$CONTAINER_MOUNTS}" "$CONTAINER")
    elif [[ -n ${CONTAINER:-} ]]; then # Enroot by its SLURM plugin, Pyxis
        launcher=(--container-image="$CONTAINER" --container-workdir="$PWD"
            --container-mounts="$PWD:$PWD${CONTAINER_MOUNTS:+,$CONTAINER_MOUNTS}")
    elif [[ -x .venv/bin/python ]]; then
        python=.venv/bin/python
    fi

    # One task that fails ends all; without this option the others wait for it for as long as NCCL does.
    srun --kill-on-bad-exit=1 "${launcher[@]}" "$python" -m "$@" || status=$?
    if [[ $status -eq 75 ]]; then # has saved a checkpoint and wants to continue
        requeue
    fi
    exit "$status"
}

requeue() {
    # A task of an array by its place: the number of its first task stands for the whole array.
    local job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
    job=${job:-$SLURM_JOB_ID}
    local count=${SLURM_RESTART_COUNT:-0} limit=${MAX_REQUEUE:-50}

    # A cancelled job would come back to life, and what SLURM requeues itself must not be requeued twice.
    if [[ $(squeue --noheader --jobs="$job" --format=%T) != RUNNING ]]; then
        echo "job $job: saved; cancelled, or requeued by SLURM" >&2
    elif ((count >= limit)); then
        echo "error: job $job: restarted $count times, MAX_REQUEUE=$limit; saved, continue it with" \
            "--run.id=slurm-${job}" >&2
    else
        echo "job $job: saved; goes back into the queue, restart $((count + 1)) of at most $limit" >&2
        scontrol requeue "$job" # ends this script
    fi
}
