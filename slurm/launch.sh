# shellcheck shell=bash disable=SC2034,SC2153 # variables of settings.sh, and of the scripts that source this
# Shared by the job scripts: reading a row of SIZES, and training on all nodes of a job. Sourced after settings.sh.

# in_job COMMAND...: run the tasks of a step with srun, with their CPU cores and inside the container, if one is set.
in_job() {
    local flags=(--kill-on-bad-exit=1)
    [ -z "${SLURM_CPUS_PER_TASK:-}" ] || flags+=(--cpus-per-task="$SLURM_CPUS_PER_TASK")
    if [ -n "$CONTAINER" ]; then
        flags+=(--container-image="$CONTAINER" --container-workdir="$PWD")
        flags+=(--container-mounts="$PWD:$PWD${CONTAINER_MOUNTS:+,$CONTAINER_MOUNTS}")
    fi
    srun "${flags[@]}" "$@"
}

# operand PATH: the path in a form that awk reads as a file; it reads NAME=VALUE as an assignment.
operand() {
    [[ $1 = /* ]] && echo "$1" || echo "./$1"
}

# sizes: the lines of SIZES without comments and empty lines.
sizes() {
    grep -v -E '^[[:space:]]*(#|$)' "$SIZES"
}

# training_of ROW|"" [teacher]: sets `script` and `arguments` to distil a row of SIZES, or RECIPE; with "teacher", to
# train its teacher.
training_of() {
    local row=$1 whose=${2:-student} size recipe student teacher micro teacher_recipe teacher_flags='' more=()
    script=$SCRIPT recipe=$RECIPE teacher_recipe=$TEACHER_RECIPE
    if [ -n "$row" ]; then
        read -r size recipe student teacher micro teacher_recipe teacher_flags <<< "$row"
        [ -n "$teacher_recipe" ] || fail "$SIZES: '$row' has fewer than six columns; see slurm/sizes.txt"
        more=(--deepspeed "$student" --micro-batch-size "$micro")
        [ "$whose" = teacher ] || more+=(--teacher-deepspeed "$teacher")
    elif [ "$whose" = student ] && [ -n "$OUTPUT" ]; then
        more=(--output "$OUTPUT")
    fi
    # shellcheck disable=SC2206 # several flags in one word
    if [ "$whose" = teacher ]; then
        script=train/sft.py recipe=$teacher_recipe
        more+=($teacher_flags $TEACHER_FLAGS)
    else
        more+=($FLAGS)
    fi
    arguments=(--config "$recipe" --data "$DATA" "${more[@]}")
}

# train SCRIPT FLAG...: train on all nodes; a run that was started before resumes. Ends the job: with status 0 if the
# run is finished, requeued if it was asked to stop, and with an error if anything failed.
train() {
    local name=${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}
    local hostfile=$LOGS/$name.hostfile stopped=$LOGS/$name.stopped restarts=${SLURM_RESTART_COUNT:-0}
    local start="$name: start $((restarts + 1))" master status=0
    local logs
    logs=$(operand "$LOGS/$name")
    mkdir -p "$LOGS"
    # shellcheck disable=SC2064 # expand now: if the job is cancelled, this function's variables are gone
    trap "rm -f ${hostfile@Q}" EXIT
    scontrol show hostnames "$SLURM_JOB_NODELIST" | sed "s/\$/ slots=${SLURM_GPUS_ON_NODE:-$GPUS}/" > "$hostfile"
    # This script runs on the first node, which has rank 0.
    if [ -n "$INTERFACE" ]; then
        master=$(ip -4 -o address show "$INTERFACE" 2> /dev/null | awk '{sub("/.*", "", $4); print $4; exit}' || true)
        [ -n "$master" ] || fail "INTERFACE=$INTERFACE has no IPv4 address on $SLURMD_NODENAME; see ip address"
        export NCCL_SOCKET_IFNAME=$INTERFACE GLOO_SOCKET_IFNAME=$INTERFACE
    else
        master=$(scontrol show node "$SLURMD_NODENAME" -o | sed -E 's/.* NodeAddr=([^ ]+) .*/\1/')
    fi
    rm -f "$stopped"
    echo "$start, nodes $SLURM_JOB_NODELIST: $*"
    # shellcheck disable=SC2016 # expanded by the task's shell
    local task='
        echo "$1"
        shift
        # The launcher must ignore both signals, which would kill it; the ranks have their own handlers.
        trap "" USR1 TERM
        deepspeed --no_ssh --node_rank "$SLURM_NODEID" "$@" && exit 0
        status=$?
        # A node that stops cleanly must exit with 0, otherwise srun kills the others, which may still be writing.
        [ $status = 75 ] || exit $status
        touch "$0"'
    # Jobs on one node get different ports, below the range of ephemeral ports.
    in_job --nodes="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 --output="$LOGS/$name-%t.log" --open-mode=append \
        bash -c "$task" "$stopped" "$start" --hostfile "$hostfile" --master_addr "$master" \
        --master_port $((15000 + SLURM_JOB_ID % 15000)) "$@" --resume || status=$?
    # The status alone does not tell: a node that was stopped before the first step also ends the ranks of others.
    if [ $status != 0 ] && [ ! -e "$stopped" ]; then
        # Print the error line of the rank that failed, if there is one, from this start of the job only.
        awk -v start="$start" 'FNR == 1 {now = 0} $0 == start {now = 1}
            now && /^error/ && !/another rank/ {print; exit}' "$logs"-*.log >&2 || true
        give_up "$name failed with status $status and is not requeued; see $LOGS/$name-*.log"
    fi
    if [ ! -e "$stopped" ]; then
        # The launcher also exits with 0 if the process that watches the ranks is killed.
        awk -v start="$start" '$0 == start {now = 1}
            now && /holds the trained student/ {found = 1} END {exit !found}' "$logs-0.log" ||
            give_up "$name has ended without a trained student; submit it again to resume, and see $LOGS/$name-*.log"
        echo "$name: finished"
        exit 0
    fi
    rm "$stopped"
    [ "$restarts" -lt "$MAX_REQUEUES" ] ||
        give_up "$name is not finished after $restarts requeues (MAX_REQUEUES=$MAX_REQUEUES); submit it again to resume"
    # A job that was cancelled is about to end and must not be requeued.
    [ "$(squeue --noheader --jobs "$SLURM_JOB_ID" --format %T)" = RUNNING ] ||
        give_up "$name was stopped and is not requeued"
    echo "$name: stopped cleanly, requeued"
    scontrol requeue "$SLURM_JOB_ID" || give_up "$name cannot be requeued; submit it again to resume"
    sleep 60 # until SLURM ends this script
}

give_up() {
    echo "error: $*" >&2
    exit 1
}
