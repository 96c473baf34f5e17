# What the rows of README.md, "Public reports", begin with: `. tests/faults/toy.sh` in the project's folder, in bash.
#
# TOY is the first example of CONTRIBUTING.md: 32 training clips in batches of 8, so 4 steps an epoch, 5 epochs.

R=${R:-$PWD}
PY=$R/.venv/bin/python
export PYTHONPATH=$R:$R/tests/faults:$R/tests/callbacks:. OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES= WANDB_SILENT=true
unset ${!SLURM@}

toy() { # toy [NETWORK|OBJECTIVE|METHOD|EVENTS|PAIRS ...]: a new folder with the files of these sections; goes there
    local folder section
    folder=$(mktemp -d)
    for section in "${@:-NETWORK}"; do
        PYTHONPATH=$R:$R/tests "$PY" -c "
import pathlib, sys, contributing_page as page
for name, text in page.files(getattr(page, sys.argv[2])).items():
    pathlib.Path(sys.argv[1], name).write_text(text)" "$folder" "$section"
    done
    cd "$folder" || return
}

run() { # run COMMAND ARGUMENT...: a command of lightning_modules; keeps what it prints in log, shows its end
    timeout --kill-after=5 "${LIMIT:-170}" "$PY" -m "lightning_modules.$1" "${@:2}" >log 2>&1
    local code=$?
    grep -v '^ *$' log | tail -n "${LINES_SHOWN:-1}"
    echo "$1: exit $code"
    return $code
}

fit() { # fit ARGUMENT...: trains TOY, every step logged; CONFIG=other.yaml trains another section's
    run fit --config "${CONFIG:-level_net.yaml}" --tracking.wandb="${WANDB:-disabled}" --trainer.log_every_n_steps=1 \
        --trainer.enable_progress_bar=false "$@"
}

checkpoint() { # checkpoint ID [NAME]: the path of one of a run's, last.ckpt by default
    echo runs/*/"$1"/checkpoints/${2:-last.ckpt}
}

killed() { # killed HOOK STEP [SIGNAL]: an argument of fit that ends it once, there
    echo "--trainer.callbacks+={class_path: toy_parts.Kill, init_args: {hook: $1, step: $2, signal: ${3:-9}}}"
}

callback() { # callback CLASS [KEY=VALUE ...]: an argument of fit
    local IFS=,
    echo "--trainer.callbacks+={class_path: $1, init_args: {${*:2}}}"
}

show() { # show metrics ID COLUMN | show weights A.ckpt B.ckpt | ...: see toy_show.py
    "$PY" -m toy_show "$@"
}

pair() { # pair HOOK STEP ARGUMENT...: run a whole, run b killed and started again; says in what they differ
    local hook=$1 step=$2
    shift 2
    rm -rf killed runs
    fit --run.id=a "$@"
    fit --run.id=b "$@" "$(killed "$hook" "$step" "${SIGNAL:-9}")"
    fit --run.id=b "$@" "$(killed "$hook" "$step" "${SIGNAL:-9}")"
    show differences
}
