"""Write a model's SQL for every question of a split, one line each, in the benchmark's order."""

import argparse
import os
from pathlib import Path

from kid.data.benchmarks import BENCHMARKS
from kid.errors import InputError, OneLineParser, run_script

EXAMPLE = """example:
  python eval/predict.py --model runs/kid/adapter --benchmark spider --data spider --output runs/kid/predictions/dev.sql
  python eval/score.py --benchmark spider --data spider --predictions runs/kid/predictions/dev.sql
"""


def parse() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, epilog=EXAMPLE, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, metavar="DIR", help="a PEFT directory (adapter/) or a merged model")
    parser.add_argument("--benchmark", default="spider", choices=BENCHMARKS, help="whose files lie in --data [spider]")
    parser.add_argument("--data", required=True, metavar="DIR", help="the benchmark's folder")
    parser.add_argument("--split", default="dev", help="dev, or minibench's seen: new questions on training data [dev]")
    parser.add_argument("--output", required=True, metavar="F", help="file to write, one SQL a line")
    parser.add_argument("--max-prompt-length", type=int, default=1024, help="tokens, as in training [1024]")
    parser.add_argument("--max-completion-length", type=int, default=128, help="tokens to decode at most [128]")
    parser.add_argument("--batch-size", type=int, default=32, help="questions decoded side by side [32]")
    return parser.parse_args()


def main() -> None:
    args = parse()
    for name in ("max_prompt_length", "max_completion_length", "batch_size"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} {getattr(args, name)} is out of range; it must be 1 or more")
    # After the flags are checked: importing torch and transformers takes seconds.
    import torch
    import transformers
    from tqdm import tqdm

    from kid.data.batching import encode_prompts, schema_texts
    from kid.data.benchmarks import load_questions
    from kid.evaluation.prediction import greedy_predictions, load_model
    from kid.files import write_atomically
    from kid.pretrained import load_tokenizer

    transformers.utils.logging.disable_progress_bar()
    folder, data, output = Path(args.model), Path(args.data), Path(args.output)
    if output.is_dir():
        raise InputError(f"--output {output} is a folder; name a file")
    if not folder.is_dir():
        raise InputError(f"--model {folder} does not exist; give a run's adapter/ or a model's folder")
    questions = load_questions(args.benchmark, args.split, data)
    schemas = schema_texts(args.benchmark, args.split, data, questions)
    tokenizer = load_tokenizer(folder, "--model")
    prompts, cut = encode_prompts(tokenizer, questions, schemas, args.max_prompt_length)
    on_cpu = os.environ.get("DS_ACCELERATOR") == "cpu" or not torch.cuda.is_available()
    model = load_model(folder, "cpu" if on_cpu else "cuda")
    with tqdm(total=len(prompts), desc=f"predict {args.split}", unit="question") as bar:
        lines = greedy_predictions(model, tokenizer, prompts, args.max_completion_length, args.batch_size, bar.update)
    write_atomically(output, "".join(f"{line}\n" for line in lines))
    note = f"; {cut} prompts over {args.max_prompt_length} tokens lost the start of their schema" if cut else ""
    print(f"{output}: {len(lines)} predictions{note}")


if __name__ == "__main__":
    run_script(main)
