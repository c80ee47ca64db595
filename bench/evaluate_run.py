"""Evaluate a run on minibench: EX of every saved epoch on `valid`, and of the last and the best one on `dev`.

Also counts how many wrong training labels the student reproduces on the questions that have one.
`python bench/evaluate_run.py --run RUN --data MINIBENCH --json F`; or `--model DIR` for a model without a run, with the
probability that it gives to each training label.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

from kid.errors import OneLineParser, run_script
from kid.files import write_atomically


def scores(data: Path, run: Path | None, model: Path | None) -> dict:
    """The scores of a run, or those of a model with `label_trust` and `valid_ex`."""
    # Here, because the processes that annotate questions import this script: torch would delay each by seconds.
    import torch
    from parts.run_scores import Judge, evaluate, evaluate_run, label_trust, saved_models

    from kid.evaluation.prediction import load_model
    from kid.models.pretrained import load_tokenizer
    from kid.progress import silence_libraries

    torch.set_num_threads(1)
    silence_libraries()
    folder = model or next(iter(saved_models(run).values()))
    judge = Judge(data, load_tokenizer(folder, "--model"))
    if run:
        return evaluate_run(judge, run)
    loaded = load_model(folder, "cpu")
    found = evaluate(judge, loaded) | {"label_trust": label_trust(judge, loaded)}
    return found | {"valid_ex": judge.ex(loaded, "valid")["ex"]}


def main() -> None:
    parser = OneLineParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", type=Path, metavar="DIR", help="a training's --output")
    what.add_argument("--model", type=Path, metavar="DIR", help="a model's folder")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of minibench")
    parser.add_argument("--json", type=Path, required=True, metavar="F", help="file to write")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    result = scores(arguments.data, arguments.run, arguments.model)
    write_atomically(arguments.json, json.dumps(result) + "\n")


if __name__ == "__main__":
    run_script(main)
