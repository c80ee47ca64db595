#!/usr/bin/env bash
# Submit a distillation, or one for each teacher of a table, with its evaluations and the report. See --help.
set -euo pipefail

usage() {
    cat << 'END'
usage: [SETTING=VALUE ...] slurm/submit.sh [--scaling] [--train-teachers]

  DATA=spider RECIPE=train/recipes/table3/1.8b-kid.yaml slurm/submit.sh
  DATA=spider RECIPE=train/recipes/table3/1.8b-kid.yaml TEACHER_RECIPE=train/recipes/table3/teacher-1.8b.yaml \
      slurm/submit.sh --train-teachers
  DATA=spider PARTITION=h100 TIME=12:00:00 slurm/submit.sh --scaling --train-teachers
  DATA=spider NODES=2 FLAGS="--micro-batch-size 1 --save-steps 200" RECIPE=... slurm/submit.sh

Submits these jobs. Each starts when the previous ones have succeeded; the report, when the evaluations have ended:

  teachers      with --train-teachers: TEACHER_RECIPE, or each teacher of SIZES
  distillation  RECIPE; with --scaling an array with one task per line of SIZES (slurm/sizes.txt shows the format)
  evaluations   an array: predicts and scores every run, and teachers if they are trained here, on every split, into
                RUN/predictions and RUN/scores
  report        eval/report.py on all runs; the job's log ends with the tables

It prints the job numbers and where the results will be. A training that reaches its time limit or receives SIGUSR1
writes a checkpoint, is requeued and resumes. If something fails, fix it and run the same command again: finished jobs
end at once, the others resume. Everything is checked before anything is submitted.

slurm/settings.sh lists the settings, which are environment variables. docs/cluster.md explains the whole procedure.
END
}

cd "$(dirname "$0")/.."
source slurm/settings.sh
source slurm/launch.sh
scaling='' teachers=''
for argument in "$@"; do
    case $argument in
        --scaling) scaling=yes ;;
        --train-teachers) teachers=yes ;;
        -h | --help) usage && exit 0 ;;
        *) fail "$argument is not a flag of slurm/submit.sh; see --help" ;;
    esac
done

# Check the input, and collect `rows` of SIZES (one empty row for RECIPE) and the lines of the evaluations.
command -v sbatch > /dev/null || fail "sbatch is not on PATH; run this on a login node of the cluster"
python -c 'import kid' 2> /dev/null || fail "python cannot import kid; activate its environment (README.md)"
[ -f "$SCRIPT" ] || fail "SCRIPT=$SCRIPT is not a file; use train/distill.py or train/sft.py"
[ -n "$DATA" ] || fail "DATA is not set; name the benchmark's folder: DATA=spider slurm/submit.sh ..."
[ -d "$DATA" ] || fail "DATA=$DATA is not a folder; name the benchmark's folder"
if [ -n "$scaling" ]; then
    [ -z "$RECIPE$OUTPUT" ] || fail "RECIPE and OUTPUT are for one distillation; with --scaling, set SIZES instead"
    [ -f "$SIZES" ] || fail "SIZES=$SIZES is not a file; slurm/sizes.txt shows the format"
    mapfile -t rows < <(sizes)
    [ ${#rows[@]} -gt 0 ] || fail "SIZES=$SIZES has only comments; slurm/sizes.txt shows the format"
else
    [ -n "$RECIPE" ] || fail "RECIPE is not set; name a file of train/recipes/, or use --scaling"
    [ -z "$teachers" ] || [ -n "$TEACHER_RECIPE" ] || fail "TEACHER_RECIPE is not set; --train-teachers needs it"
    rows=("")
fi
for folder in "$LOGS" "$REPORT"; do
    mkdir -p "$folder" 2> /dev/null && [ -w "$folder" ] ||
        fail "$folder cannot be written to; set LOGS and REPORT to other folders"
done
evaluations=() runs=() checks=(--ranks $((NODES * GPUS)) --splits "$SPLITS" ${teachers:+--teacher-pending})
for row in "${rows[@]}"; do
    for whose in ${teachers:+teacher} student; do
        training_of "$row" "$whose"
        checked=$(python slurm/check.py "${checks[@]}" "$script" "${arguments[@]}")
        checks+=(--without-notes) # print the notes once
        runs+=("${checked#*$'\t'}")
        for split in ${checked%%$'\t'*}; do evaluations+=("$split ${checked#*$'\t'}"); done
    done
done

# submit WHAT FLAGS...: submit a job and set `job` to its number. If it is refused, the earlier jobs are cancelled.
submitted=()
submit() {
    local what=$1
    shift
    # shellcheck disable=SC2206
    local common=(--parsable --kill-on-invalid-dep=yes $SBATCH_FLAGS)
    [ -z "$PARTITION" ] || common+=(--partition="$PARTITION")
    [ -z "$ACCOUNT" ] || common+=(--account="$ACCOUNT")
    if ! job=$(sbatch "${common[@]}" "$@" 2>&1); then
        [ ${#submitted[@]} = 0 ] || scancel "${submitted[@]}"
        fail "sbatch refuses the $what (${job//$'\n'/; }); nothing was submitted"
    fi
    job=${job%%;*} # a federation appends the cluster's name
    submitted+=("$job")
}
training=(--nodes="$NODES" --gpus-per-node="$GPUS" --cpus-per-task="$CPUS" --mem="$MEM" --time="$TIME")
training+=(--signal="USR1@$SIGNAL_SECONDS")
one_gpu=(--nodes=1 --gpus-per-node=1 --cpus-per-task=$((CPUS / GPUS)) --time="$EVAL_TIME")
if [ -n "$scaling" ]; then
    job_script=slurm/teacher_scaling.sbatch
    training+=(--array="0-$((${#rows[@]} - 1))" --output="$LOGS/%A_%a.log")
    after=aftercorr # each student waits for its own teacher only
else
    job_script=slurm/distill.sbatch
    training+=(--output="$LOGS/%j.log")
    after=afterok
fi
say() { printf '%-14s%s   %s.log, per node %s-NODE.log\n' "$1" "$job" "$LOGS/$job${scaling:+_TASK}"{,}; }

dependency=()
if [ -n "$teachers" ]; then
    WHOSE=teacher submit teachers --job-name=kid-teacher "${training[@]}" $job_script
    dependency=(--dependency="$after:$job")
    say teachers
fi
WHOSE=student submit distillation "${dependency[@]}" "${training[@]}" $job_script
say distillation
export EVALUATIONS=$LOGS/$job.evaluations
printf '%s\n' "${evaluations[@]}" > "$EVALUATIONS"
distillation=$job
submit evaluations --dependency="afterok:$distillation" "${one_gpu[@]}" --array="0-$((${#evaluations[@]} - 1))" \
    --output="$LOGS/%A_%a.log" slurm/eval.sbatch
echo "evaluations   $job   $LOGS/${job}_TASK.log, tasks in $EVALUATIONS"
submit report --dependency="afterok:$distillation,afterany:$job" "${one_gpu[@]}" \
    --output="$LOGS/%j.log" slurm/report.sbatch
echo "report        $job   $LOGS/$job.log has the tables, $REPORT/report.html everything"
echo "runs          ${runs[*]}"
