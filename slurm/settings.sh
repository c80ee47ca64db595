# shellcheck shell=bash
# Everything there is to set, with its default; each is taken from the environment where it is set there:
# PARTITION=gpu NODES=2 DATA=spider slurm/submit.sh ...   Sourced by the other scripts; nothing here need be changed.

# The cluster.
: "${PARTITION:=}" "${ACCOUNT:=}"     # empty: the cluster's own choice
: "${SBATCH_FLAGS:=}"                 # more for sbatch, on every job: "--qos=high --constraint=h100 --exclude=n7"
: "${NODES:=1}" "${GPUS:=8}"          # of a training; GPUS on each node
: "${CPUS:=$((8 * GPUS))}"            # on each node; an evaluation has a GPU's share of them
: "${MEM:=0}"                         # of a training, on each node; 0: all there is
: "${TIME:=24:00:00}"                 # of a training, until it is requeued and goes on
: "${EVAL_TIME:=04:00:00}"            # of one model on one split
: "${SIGNAL_SECONDS:=300}"            # before the time limit, a training writes a checkpoint and is requeued
: "${MAX_REQUEUES:=20}"               # a training that has started more often than that is given up
: "${CONTAINER:=}"                    # an image for pyxis, where the cluster has it; empty: what is on the nodes
: "${CONTAINER_MOUNTS:=}"             # beside the project's folder: /data:/data,/models:/models

# What is trained and how it is judged.
: "${SCRIPT:=train/distill.py}"       # or train/sft.py
: "${RECIPE:=}"                       # one distillation: a file of train/recipes/
: "${TEACHER_RECIPE:=}"               # of its teacher, for --train-teachers
: "${SIZES:=slurm/sizes.txt}"         # --scaling: a line a teacher
: "${DATA:=}"                         # the benchmark's folder
: "${OUTPUT:=}"                       # of one distillation; empty: what its recipe says
: "${FLAGS:=}"                        # more for distillations: "--batching schema --save-steps 500"
: "${TEACHER_FLAGS:=}"                # more for teachers' trainings
: "${SPLITS:=}"                       # empty: dev, dk, realistic and syn of Spider; dev of other benchmarks
: "${BASELINES:=}"                    # finished runs that the report shows too: "runs/qwen1.5-0.5b/sft"
: "${REPORT:=runs/report}"            # where the report goes
: "${LOGS:=runs/slurm}"               # where every job's output goes

fail() {
    echo "error: $*" >&2
    exit 2
}
