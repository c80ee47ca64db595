"""Decode a teacher's outputs for a training set once: the fixed part of f-distill's data (section 2.2 of the paper)."""

from cli import build_parser, read_flags

from kid.config.keys import keys_affecting, keys_in
from kid.config.option import DATA, SAMPLING
from kid.config.recipe import merge_config, require_keys
from kid.errors import run_script

EXAMPLE = """example:
  deepspeed --num_gpus 8 train/generate.py --teacher runs/teacher/adapter --benchmark spider --data spider \\
      --teacher-outputs runs/teacher/outputs.jsonl --micro-batch-size 32

  Give the same data flags as in training; otherwise the prompts differ from those of the student. Each rank decodes its
  share: in step with the other ranks if the teacher is partitioned (ZeRO-3), independently with --teacher-deepspeed
  ds_configs/teacher_whole.json. An interrupted run resumes where it stopped, on any number of ranks.
"""
REQUIRED = ("teacher", "data", "teacher_outputs")


def main() -> None:
    names = {*keys_affecting("teacher alone"), *keys_in((DATA, SAMPLING))} - {"batching"}
    parser = build_parser(__doc__, EXAMPLE, names, REQUIRED, keep=lambda values: values.get("method") == "f-distill")
    config = merge_config(*read_flags(parser))
    require_keys(config, *REQUIRED)
    from kid.training.checks import check_teacher_run

    check_teacher_run(config)  # before torch and deepspeed are imported: that takes every rank seconds
    from kid.training.generation import generate

    generate(config)


if __name__ == "__main__":
    run_script(main, kept="outputs made so far are kept; run the same command again to continue")
