"""Export a finished run as one Hugging Face directory: merged weights, tokenizer, generation config, model card."""

from __future__ import annotations

import argparse
import shlex
import warnings
from pathlib import Path

from kid.config.run_config import RunConfig
from kid.errors import InputError, OneLineParser, run_script

DTYPES = RunConfig.__dataclass_fields__["dtype"].metadata["choices"]
EXAMPLE = """\
examples:
  python train/export.py runs/kid --merge                      writes runs/kid/merged
  python train/export.py runs/kid --merge --step best          runs/kid/merged-step-N of the best step
  python train/export.py runs/kid --merge --step 500 --output exports/kid-500 --dtype fp32

  The directory loads with transformers' AutoModelForCausalLM and AutoTokenizer, without PEFT and KID. The
  adapter is added to its base in fp32 and rounded once, to --dtype; it runs on a CPU and holds the weights once in
  memory. README.md, the model card, has method, settings, the prompt by example, and the scores that lie in
  RUN/scores (for --step N in RUN/scores/step-N) by then: score first, export then. An export that is there is checked
  against its kid-hashes.json; a damaged one is made again, and kept beside it as NAME.damaged.
"""


def step_or_best(text: str) -> int | str:
    return text if text == "best" else int(text)


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, epilog=EXAMPLE, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="a run's directory, --output of its training")
    merge_help = "merge the adapter into its base; of a run of all weights (--lora-rank 0), take them as they are"
    parser.add_argument("--merge", action="store_true", help=merge_help)
    parser.add_argument("--output", metavar="DIR", type=Path, help="where to (default: RUN/merged)")
    step_help = "the student after N steps, of adapters/step-N; best: the one that --keep-best kept (default: finished)"
    parser.add_argument("--step", metavar="N|best", type=step_or_best, help=step_help)
    dtype_help = f"of the weights: {' or '.join(DTYPES)} (default: the one the run was trained in)"
    parser.add_argument("--dtype", choices=DTYPES, help=dtype_help)
    arguments = parser.parse_args()
    if not arguments.merge:
        raise InputError(
            f"--merge is missing; without it there is nothing to do: {arguments.run}/adapter is the student as an "
            "adapter already"
        )
    return arguments


def main() -> None:
    arguments = parse_arguments()
    # After the flags are checked: importing torch and deepspeed takes seconds.
    from kid.config.trained import best_step
    from kid.export.run import export_merged, export_record, find_trained_student, is_exported

    warnings.filterwarnings("ignore", category=FutureWarning)  # the libraries' own; their progress bars stay
    if arguments.step == "best":
        arguments.step = best_step(arguments.run)
    trained = find_trained_student(arguments.run, arguments.step)
    dtype = arguments.dtype or trained.config.dtype
    suffix = "" if arguments.step is None else f"-step-{arguments.step}"
    output = arguments.output or arguments.run / f"merged{suffix}"
    if is_exported(output, export_record(trained, dtype)):
        print(f"{output} is this export already; remove it to make it anew, with newer scores for example")
        return
    print(f"exporting {trained.folder}, {dtype}", flush=True)
    # For the card, which is shared: where things lie is left out.
    command = ["python", "train/export.py", arguments.run.resolve().name, "--merge", "--dtype", dtype]
    command += [] if arguments.step is None else ["--step", str(arguments.step)]
    for remark in export_merged(trained, output, dtype, shlex.join(command)):
        print(remark, flush=True)
    print(f"{output} holds the merged student; README.md is its card")


if __name__ == "__main__":
    run_script(main)
