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
  python train/export.py runs/kid --merge --step best          writes runs/kid/merged-step-N of the best step
  python train/export.py runs/kid --merge --step 500 --output exports/kid-500 --dtype fp32

  The directory loads with transformers' AutoModelForCausalLM and AutoTokenizer; neither PEFT nor KID is needed. The
  adapter is merged into its base in fp32, and the result is rounded once, to --dtype. The export runs on a CPU and
  holds one copy of the weights in memory. The model card, README.md, has the method, the settings, an example prompt
  and the scores found in RUN/scores (for --step N: RUN/scores/step-N), so score the model before you export it. An
  existing export is checked against its kid-hashes.json; a damaged one is kept as NAME.damaged and created again.
"""


def step_or_best(text: str) -> int | str:
    return text if text == "best" else int(text)


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, epilog=EXAMPLE, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="a run's directory, the --output of its training")
    merge_help = "merge the adapter into its base; a run without an adapter (--lora-rank 0) is exported as it is"
    parser.add_argument("--merge", action="store_true", help=merge_help)
    parser.add_argument("--output", metavar="DIR", type=Path, help="folder to write (default: RUN/merged)")
    step_help = "the student after N steps, from adapters/step-N; best: that of --keep-best (default: the finished one)"
    parser.add_argument("--step", metavar="N|best", type=step_or_best, help=step_help)
    dtype_help = f"dtype of the weights: {' or '.join(DTYPES)} (default: the dtype of the training)"
    parser.add_argument("--dtype", choices=DTYPES, help=dtype_help)
    arguments = parser.parse_args()
    if not arguments.merge:
        raise InputError(
            f"--merge is missing; without it there is nothing to export: {arguments.run}/adapter already holds the "
            "student as an adapter"
        )
    return arguments


def main() -> None:
    arguments = parse_arguments()
    # After the flags are checked: importing torch and deepspeed takes seconds.
    from kid.config.trained import best_step
    from kid.export.run import export_merged, export_record, find_trained_student, is_exported

    warnings.filterwarnings("ignore", category=FutureWarning)  # of the libraries; their progress bars are shown
    if arguments.step == "best":
        arguments.step = best_step(arguments.run)
    trained = find_trained_student(arguments.run, arguments.step)
    dtype = arguments.dtype or trained.config.dtype
    suffix = "" if arguments.step is None else f"-step-{arguments.step}"
    output = arguments.output or arguments.run / f"merged{suffix}"
    if is_exported(output, export_record(trained, dtype)):
        print(f"{output} already holds this export; remove it to export again, for example with newer scores")
        return
    print(f"exporting {trained.folder}, {dtype}", flush=True)
    # The command in the card: cards are shared, so it has no paths of this machine.
    inside = not arguments.run.is_absolute() and ".." not in arguments.run.parts and arguments.run.name
    shown = str(arguments.run) if inside else arguments.run.resolve().name
    command = ["python", "train/export.py", shown, "--merge", "--dtype", dtype]
    command += [] if arguments.step is None else ["--step", str(arguments.step)]
    for remark in export_merged(trained, output, dtype, shlex.join(command)):
        print(remark, flush=True)
    print(f"{output} holds the merged student; README.md is its model card")


if __name__ == "__main__":
    run_script(main)
