"""Fine-tune a model on the gold SQL of a benchmark: a teacher, or the baseline that students are compared with."""

from cli import build_parser, read_config

from kid.errors import run_script

EXAMPLE = """example:
  deepspeed --num_gpus 8 train/sft.py --student Qwen/Qwen1.5-0.5B --benchmark spider --data spider --output runs/sft
"""


def main() -> None:
    config = read_config(build_parser(__doc__, EXAMPLE, distils=False), method="sft")
    from kid.trainer import train  # after the flags are checked: importing torch and deepspeed takes seconds

    train(config)


if __name__ == "__main__":
    run_script(main)
