"""Fine-tune a model on the gold SQL of a benchmark: a teacher, or the baseline for distilled students."""

from cli import build_parser, read_flags, run_training

from kid.config.keys import used_keys
from kid.config.recipe import REQUIRED, resolve_config
from kid.config.run_config import RunConfig
from kid.errors import run_script

EXAMPLE = """example:
  deepspeed --num_gpus 8 train/sft.py --student Qwen/Qwen1.5-0.5B --benchmark spider --data spider --output runs/sft
  deepspeed --num_gpus 8 train/sft.py --config train/recipes/table3/teacher-1.8b.yaml --data spider
"""


def main() -> None:
    everything = RunConfig(method="sft", eval_ex_steps=1, keep_best="ex")
    names = {*used_keys(everything)} - {"method", "mle_weight"}
    parser = build_parser(__doc__, EXAMPLE, names, REQUIRED, keep=lambda values: values.get("method") == "sft")
    run_training(resolve_config(*read_flags(parser, method="sft")))


if __name__ == "__main__":
    run_script(main, kept="no training step was run and nothing was written")
