# shellcheck shell=bash
# Everything there is to set, with its default; each is taken from the environment where it is set there:
# PARTITION=gpu NODES=2 DATA=spider slurm/submit.sh ...   Sourced by the other scripts; nothing here need be changed.
# SBATCH_FLAGS, FLAGS, TEACHER_FLAGS, BASELINES and the lines of SIZES are split at spaces; all else may hold some.

fail() {
    echo "error: $*" >&2
    exit 2
}

# The cluster.
: "${PARTITION:=}" "${ACCOUNT:=}"     # empty: the cluster's own choice
: "${SBATCH_FLAGS:=}"                 # more for sbatch, on every job: "--qos=high --constraint=h100 --exclude=n7"
: "${NODES:=1}" "${GPUS:=8}"          # of a training; GPUS on each node
for setting in NODES GPUS; do
    [[ ${!setting} =~ ^[1-9][0-9]*$ ]] || fail "$setting=${!setting} is no number; what kind goes into SBATCH_FLAGS"
done
: "${CPUS:=$((8 * GPUS))}"            # on each node; an evaluation has a GPU's share of them
: "${MEM:=0}"                         # of a training, on each node; 0: all there is
: "${TIME:=24:00:00}"                 # of a training, until it is requeued and goes on
: "${EVAL_TIME:=04:00:00}"            # of one model on one split
: "${SIGNAL_SECONDS:=300}"            # before the time limit, a training writes a checkpoint and is requeued
: "${MAX_REQUEUES:=20}"               # a training that has started more often than that is given up
: "${INTERFACE:=}"                     # of the network between nodes: "ib0"; empty: what SLURM and NCCL choose
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
for setting in SCRIPT RECIPE TEACHER_RECIPE SIZES DATA OUTPUT REPORT LOGS; do
    [[ ${!setting} != *[$'\n\r\t']* ]] || fail "$setting holds a line break or a tab; name another"
done
