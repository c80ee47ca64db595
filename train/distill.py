"""Distil a teacher into a LoRA student with one of the methods of the paper's Table 1."""

from cli import build_parser, read_flags, run_training

from kid.config.keys import FIELDS
from kid.config.recipe import REQUIRED, resolve_config
from kid.errors import run_script

EXAMPLE = """example:
  deepspeed --num_gpus 8 train/distill.py --method kid --student Qwen/Qwen1.5-0.5B --teacher runs/teacher/model \\
      --benchmark spider --data spider --output runs/kid
  deepspeed --num_gpus 8 train/distill.py --config train/recipes/table3/1.8b-kid.yaml --data spider
"""


def main() -> None:
    parser = build_parser(__doc__, EXAMPLE, FIELDS, REQUIRED, keep=lambda values: values.get("method") != "sft")
    run_training(resolve_config(*read_flags(parser)))


if __name__ == "__main__":
    run_script(main, kept="no training step was run and nothing was written")
