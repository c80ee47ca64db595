"""Store a teacher's last hidden states at the gold outputs once, so that fkd and rkd train without the teacher."""

from cli import build_parser, read_flags

from kid.config.keys import keys_affecting, keys_in
from kid.config.methods import METHODS
from kid.config.option import DATA
from kid.config.recipe import merge_config, require_keys
from kid.errors import run_script

EXAMPLE = """example:
  deepspeed --num_gpus 8 train/teacher_states.py --teacher runs/teacher/adapter --benchmark spider --data spider \\
      --teacher-states runs/teacher/states --micro-batch-size 16
  deepspeed --num_gpus 1 train/distill.py --method rkd --student Qwen/Qwen1.5-0.5B --benchmark spider --data spider \\
      --teacher-states runs/teacher/states --output runs/rkd

  Give the same data flags and --dtype as in training, or a recipe that has them. An output token takes 2 bytes (fp32:
  4) for each hidden feature of the teacher: 10 KB for a 32B teacher. An interrupted run resumes where it stopped, on
  any number of ranks.
"""
REQUIRED = ("teacher", "data", "teacher_states")


def main() -> None:
    names = {*keys_affecting("teacher alone"), *keys_in((DATA,)), "teacher_states", "prefix"} - {"batching"}
    parser = build_parser(__doc__, EXAMPLE, names, REQUIRED, keep=has_fixed_outputs)
    config = merge_config(*read_flags(parser))
    require_keys(config, *REQUIRED)
    from kid.training.checks import check_teacher_run

    check_teacher_run(config)  # before torch and deepspeed are imported: that takes every rank seconds
    from kid.training.teacher_states import store_teacher_states

    store_teacher_states(config)


def has_fixed_outputs(recipe: dict) -> bool:
    return "method" in recipe and METHODS[recipe["method"]].fixed_outputs


if __name__ == "__main__":
    run_script(main, kept="finished shards are kept; run the same command again to continue")
