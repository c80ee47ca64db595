# shellcheck shell=bash
# All settings and their defaults. Set them in the environment instead of editing this file:
# PARTITION=gpu NODES=2 DATA=spider slurm/submit.sh ...   The other scripts source this file.
# SBATCH_FLAGS, FLAGS, TEACHER_FLAGS, BASELINES and the lines of SIZES are split at spaces; others may contain spaces.

fail() {
    echo "error: $*" >&2
    exit 2
}

# The cluster.
: "${PARTITION:=}" "${ACCOUNT:=}"     # empty: the cluster's default
: "${SBATCH_FLAGS:=}"                 # further sbatch flags for every job: "--qos=high --constraint=h100 --exclude=n7"
: "${NODES:=1}" "${GPUS:=8}"          # nodes of a training, and GPUS per node
for setting in NODES GPUS; do
    [[ ${!setting} =~ ^[1-9][0-9]*$ ]] || fail "$setting=${!setting} is not a number; set the GPU type in SBATCH_FLAGS"
done
: "${CPUS:=$((8 * GPUS))}"            # CPU cores per node; an evaluation gets the share of one GPU
: "${MEM:=0}"                         # memory of a training per node; 0: all of the node's memory
: "${TIME:=24:00:00}"                 # time limit of a training, after which it is requeued and resumes
: "${EVAL_TIME:=04:00:00}"            # time limit of an evaluation: one model on one split
: "${SIGNAL_SECONDS:=300}"            # this long before the time limit, a training writes a checkpoint and is requeued
: "${MAX_REQUEUES:=20}"               # a training that is not finished after this many requeues fails
: "${INTERFACE:=}"                    # network interface between nodes: "ib0"; empty: chosen by SLURM and NCCL
: "${CONTAINER:=}"                    # an image for pyxis, if the cluster has it; empty: no container
: "${CONTAINER_MOUNTS:=}"             # mounts besides the project's folder: /data:/data,/models:/models

# Training and evaluation.
: "${SCRIPT:=train/distill.py}"       # or train/sft.py
: "${RECIPE:=}"                       # recipe of one distillation: a file of train/recipes/
: "${TEACHER_RECIPE:=}"               # recipe of its teacher, for --train-teachers
: "${SIZES:=slurm/sizes.txt}"         # for --scaling: one teacher per line
: "${DATA:=}"                         # folder of the benchmark
: "${OUTPUT:=}"                       # run directory of one distillation; empty: the one in its recipe
: "${FLAGS:=}"                        # further flags of distillations: "--batching schema --save-steps 500"
: "${TEACHER_FLAGS:=}"                # further flags of teachers' trainings
: "${SPLITS:=}"                       # empty: dev, dk, realistic and syn of Spider; dev of other benchmarks
: "${BASELINES:=}"                    # finished runs to add to the report: "runs/qwen1.5-0.5b/sft"
: "${REPORT:=runs/report}"            # folder of the report
: "${LOGS:=runs/slurm}"               # folder of all jobs' logs
for setting in SCRIPT RECIPE TEACHER_RECIPE SIZES DATA OUTPUT REPORT LOGS; do
    [[ ${!setting} != *[$'\n\r\t']* ]] || fail "$setting contains a line break or a tab; use another name"
done
