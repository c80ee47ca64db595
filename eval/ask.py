"""Ask a question about a SQLite database: the model's SQL, and the rows it gives."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cli import add_decoding_flags, check_decoding_flags
from rich.table import Table
from rich.text import Text

from kid.config.trained import existing_student
from kid.console import Console
from kid.errors import InputError, OneLineParser, run_script
from kid.terminal import printable

EXAMPLE = """examples:
  python eval/ask.py --model runs/kid --database concert.sqlite "How many singers are from France?"
  python eval/ask.py --model runs/kid --database concert.sqlite --beams 4 "Who is the oldest singer?"

  The prompt is made as the model was trained (config.yaml of its run, kid_export.json of its export). The database is
  only read, and a query that takes too long or too much memory is stopped.
"""
SHOWN = 20  # rows
SECONDS = 30.0


def parse() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, epilog=EXAMPLE, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("question")
    parser.add_argument("--model", required=True, metavar="DIR", type=Path, help="folder of a run or of a model")
    parser.add_argument("--database", required=True, metavar="F", type=Path, help="a SQLite file")
    parser.add_argument(
        "--evidence-text", metavar="TEXT", default="", help="what one should know to answer (BIRD's evidence)"
    )
    add_decoding_flags(parser)
    arguments = parser.parse_args()
    check_decoding_flags(arguments)
    if not arguments.question.strip():
        raise InputError("the question is empty; ask one, in quotation marks")
    if arguments.database.is_dir():
        files = sorted(map(str, arguments.database.rglob("*.sqlite")))
        found = f", for example {files[0]}" if files else "; there is no .sqlite in it"
        raise InputError(f"--database {arguments.database} is a folder; give a SQLite file{found}")
    if not arguments.database.is_file():
        raise InputError(f"--database {arguments.database} does not exist; give a SQLite file")
    arguments.model = existing_student(arguments.model, "--model")
    return arguments


def show(names: list[str], rows: list[tuple]) -> None:
    console = Console()
    table = Table()
    for place, name in enumerate(names):
        numbers = all(isinstance(row[place], (int, float)) for row in rows)
        table.add_column(Text(printable(name)), justify="right" if numbers and rows else "left")
    for row in rows[:SHOWN]:
        # As text: a cell that looks like rich's markup is a cell all the same.
        table.add_row(*[Text("NULL", style="dim") if value is None else Text(printable(str(value))) for value in row])
    console.print(table)
    more = len(rows) > SHOWN
    console.print(f"the first {SHOWN} rows; there are more" if more else f"{len(rows)} rows", highlight=False)


def main() -> None:
    args = parse()
    # After the flags are checked: importing torch and transformers takes seconds.
    from kid.data.batching import Sample
    from kid.evaluation.asking import prompt_settings, question_prompt
    from kid.evaluation.candidates import choose_accepted, query_table
    from kid.evaluation.execution import run_jobs
    from kid.evaluation.prediction import decode_candidates, default_device, load_model
    from kid.evaluation.worker import Limits
    from kid.models.pretrained import load_tokenizer
    from kid.progress import silence_libraries

    silence_libraries()
    options, lines = prompt_settings(args.model, args.max_completion_length)
    for line in lines:
        print(line, file=sys.stderr)
    tokenizer = load_tokenizer(args.model, "--model")
    prompt, cut = question_prompt(args.database, args.question, args.evidence_text, options, tokenizer)
    if cut:
        limit = options.max_prompt_length
        print(f"note: {cut} tokens of the schema do not fit into the prompt's {limit} and are cut", file=sys.stderr)
    model = load_model(args.model, default_device())
    length = options.max_completion_length
    ((_, candidates),) = next(decode_candidates(model, tokenizer, [Sample(prompt, [])], length, args.beams, args.beams))
    taken = choose_accepted([candidates], [args.database], 1)[0] if args.beams > 1 else 0
    print(candidates[taken])
    (outcome,) = run_jobs(query_table, [(args.database, candidates[taken], SHOWN + 1)], 1, Limits(seconds=SECONDS))
    if outcome.error:
        print(f"error: the query does not run: {outcome.error}; ask in other words, or with --beams 4", file=sys.stderr)
        sys.exit(1)
    show(*outcome.value)


if __name__ == "__main__":
    run_script(main)
