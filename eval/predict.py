"""Write a model's SQL for every question of a split, one line each, in the benchmark's order."""

import argparse
import os
from pathlib import Path

from cli import add_data_flags, check_data_flags

from kid.errors import InputError, OneLineParser, run_script

EXAMPLE = """example:
  python eval/predict.py --model runs/kid/adapter --benchmark spider --data spider --output runs/kid/predictions/dev.sql
  python eval/score.py --benchmark spider --data spider --predictions runs/kid/predictions/dev.sql

  A question that is left out (--missing-database skip, --damaged skip) gets an empty line.
"""


def parse() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, epilog=EXAMPLE, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, metavar="DIR", help="a PEFT directory (adapter/) or a merged model")
    parser.add_argument("--output", required=True, metavar="F", help="file to write, one SQL a line")
    parser.add_argument("--max-completion-length", type=int, default=128, help="tokens to decode at most [128]")
    parser.add_argument("--batch-size", type=int, default=32, help="questions decoded side by side [32]")
    add_data_flags(parser)
    arguments = parser.parse_args()
    check_data_flags(arguments)
    for name in ("max_completion_length", "batch_size"):
        value = getattr(arguments, name)
        if value < 1:
            raise InputError(f"--{name.replace('_', '-')} {value} is out of range; it must be 1 or more")
    return arguments


def main() -> None:
    args = parse()
    # After the flags are checked: importing torch and transformers takes seconds.
    import torch
    import transformers
    from tqdm import tqdm

    from kid.data.batching import long_prompts
    from kid.data.prepare import prepare
    from kid.data.reading import data_options
    from kid.evaluation.prediction import greedy_predictions, load_model
    from kid.files import write_atomically
    from kid.pretrained import load_tokenizer

    transformers.utils.logging.disable_progress_bar()
    folder, output = Path(args.model), Path(args.output)
    if output.is_dir():
        raise InputError(f"--output {output} is a folder; name a file")
    if not folder.is_dir():
        raise InputError(f"--model {folder} does not exist; give a run's adapter/ or a model's folder")
    tokenizer = load_tokenizer(folder, "--model")
    prepared = prepare(data_options(args), args.split, tokenizer)
    prompts = list(prepared.rows["prompt_ids"])
    on_cpu = os.environ.get("DS_ACCELERATOR") == "cpu" or not torch.cuda.is_available()
    model = load_model(folder, "cpu" if on_cpu else "cuda")
    with tqdm(total=len(prompts), desc=f"predict {args.split}", unit="question") as bar:
        found = greedy_predictions(model, tokenizer, prompts, args.max_completion_length, args.batch_size, bar.update)
    lines = [""] * len(prepared.questions)
    for index, line in zip(prepared.rows["index"], found, strict=True):
        lines[index] = line
    write_atomically(output, "".join(f"{line}\n" for line in lines))
    print(f"{output}: {len(lines)} lines, {len(found)} predictions")
    for remark in long_prompts(prepared, args.max_prompt_length) + prepared.remarks():
        print(remark)


if __name__ == "__main__":
    run_script(main)
