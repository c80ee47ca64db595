# shellcheck shell=bash disable=SC2034,SC2153 # variables of settings.sh, and of the scripts that source this
# What the job scripts share: what a row of SIZES means, a training on all nodes of a job. Sourced after settings.sh.

# in_job COMMAND...: how srun starts the tasks of a step: in the container where there is one, each with its cores.
in_job() {
    local flags=(--kill-on-bad-exit=1)
    [ -z "${SLURM_CPUS_PER_TASK:-}" ] || flags+=(--cpus-per-task="$SLURM_CPUS_PER_TASK")
    if [ -n "$CONTAINER" ]; then
        flags+=(--container-image="$CONTAINER" --container-workdir="$PWD")
        flags+=(--container-mounts="$PWD:$PWD${CONTAINER_MOUNTS:+,$CONTAINER_MOUNTS}")
    fi
    srun "${flags[@]}" "$@"
}

# operand PATH: the path as a file for awk, to which NAME=VALUE is an assignment.
operand() {
    [[ $1 = /* ]] && echo "$1" || echo "./$1"
}

# sizes: the lines of SIZES that are no comments.
sizes() {
    grep -v -E '^[[:space:]]*(#|$)' "$SIZES"
}

# training_of ROW|"" [teacher]: sets `script` and `arguments` of the distillation of a row of SIZES, or of RECIPE; with
# "teacher", those of the training of its teacher.
training_of() {
    local row=$1 whose=${2:-student} size recipe student teacher micro teacher_recipe teacher_flags='' more=()
    script=$SCRIPT recipe=$RECIPE teacher_recipe=$TEACHER_RECIPE
    if [ -n "$row" ]; then
        read -r size recipe student teacher micro teacher_recipe teacher_flags <<< "$row"
        [ -n "$teacher_recipe" ] || fail "$SIZES: '$row' has less than six columns; slurm/sizes.txt shows them"
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

# train SCRIPT FLAG...: a training on all nodes, from where it was, if it has been started before. Ends the job: with 0
# when it is finished, requeued when it was asked to stop, and with an error when anything failed.
train() {
    local name=${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}
    local hostfile=$LOGS/$name.hostfile stopped=$LOGS/$name.stopped restarts=${SLURM_RESTART_COUNT:-0}
    local start="$name: start $((restarts + 1))" master status=0
    local logs
    logs=$(operand "$LOGS/$name")
    mkdir -p "$LOGS"
    # shellcheck disable=SC2064 # where a job is cancelled, no variable of this function is left
    trap "rm -f ${hostfile@Q}" EXIT
    scontrol show hostnames "$SLURM_JOB_NODELIST" | sed "s/\$/ slots=${SLURM_GPUS_ON_NODE:-$GPUS}/" > "$hostfile"
    # This script runs on the first node, where the first rank will be.
    if [ -n "$INTERFACE" ]; then
        master=$(ip -4 -o address show "$INTERFACE" 2> /dev/null | awk '{sub("/.*", "", $4); print $4; exit}' || true)
        [ -n "$master" ] || fail "INTERFACE=$INTERFACE has no IPv4 address on $SLURMD_NODENAME; see ip address"
        export NCCL_SOCKET_IFNAME=$INTERFACE GLOO_SOCKET_IFNAME=$INTERFACE
    else
        master=$(scontrol show node "$SLURMD_NODENAME" -o | sed -E 's/.* NodeAddr=([^ ]+) .*/\1/')
    fi
    rm -f "$stopped"
    echo "$start, nodes $SLURM_JOB_NODELIST: $*"
    # shellcheck disable=SC2016 # for the task's shell
    local task='
        echo "$1"
        shift
        # Neither signal is for the launcher, which would die of it: ranks have handlers of their own.
        trap "" USR1 TERM
        deepspeed --no_ssh --node_rank "$SLURM_NODEID" "$@" && exit 0
        status=$?
        # A node that stops in good order must not be the bad exit for which srun kills the others, which still write.
        [ $status = 75 ] || exit $status
        touch "$0"'
    # Ports of jobs on one node differ, and lie below those that systems give out themselves.
    in_job --nodes="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 --output="$LOGS/$name-%t.log" --open-mode=append \
        bash -c "$task" "$stopped" "$start" --hostfile "$hostfile" --master_addr "$master" \
        --master_port $((15000 + SLURM_JOB_ID % 15000)) "$@" --resume || status=$?
    # A node that was stopped before the first step takes the ranks of others with it.
    if [ $status != 0 ] && [ ! -e "$stopped" ]; then
        # The line of the rank that failed, if it had one to say; an earlier start of the job may have had others.
        awk -v start="$start" 'FNR == 1 {now = 0} $0 == start {now = 1}
            now && /^error/ && !/another rank/ {print; exit}' "$logs"-*.log >&2 || true
        give_up "$name failed with status $status and is not requeued; $LOGS/$name-*.log say why"
    fi
    if [ ! -e "$stopped" ]; then
        # The launcher also ends with 0 where the process that watches the ranks was killed.
        awk -v start="$start" '$0 == start {now = 1}
            now && /holds the trained student/ {found = 1} END {exit !found}' "$logs-0.log" ||
            give_up "$name has ended without a trained student; submit it again to go on, $LOGS/$name-*.log say more"
        echo "$name: finished"
        exit 0
    fi
    rm "$stopped"
    [ "$restarts" -lt "$MAX_REQUEUES" ] ||
        give_up "$name is not finished after $restarts requeues (MAX_REQUEUES=$MAX_REQUEUES); submit it again to go on"
    # A job that was cancelled is about to end, and must not come back.
    [ "$(squeue --noheader --jobs "$SLURM_JOB_ID" --format %T)" = RUNNING ] ||
        give_up "$name was stopped and is not requeued"
    echo "$name: stopped in good order, requeued"
    scontrol requeue "$SLURM_JOB_ID" || give_up "$name cannot be requeued; submit it again to go on"
    sleep 60 # until SLURM ends this script
}

give_up() {
    echo "error: $*" >&2
    exit 1
}
