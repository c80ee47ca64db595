"""Ask questions about a SQLite database: prints the model's SQL and the rows it returns."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cli import add_decoding_flags, check_decoding_flags
from rich.table import Table
from rich.text import Text

from kid.config.trained import existing_student
from kid.console import Console
from kid.errors import InputError, OneLineParser, RunError, print_error, run_script
from kid.terminal import printable, unescaped

if TYPE_CHECKING:
    from kid.evaluation.asking import Asker

EXAMPLE = """examples:
  python eval/ask.py --model runs/kid --database concert.sqlite "How many singers are from France?"
  python eval/ask.py --model runs/kid --database concert.sqlite --beams 4 "Who is the oldest singer?"
  python eval/ask.py --model runs/kid --database concert.sqlite             prompts for one question after another
  python eval/ask.py --model runs/kid --database concert.sqlite --sql-only < questions.txt > queries.sql

  Without a question, each line of the standard input is a question. At a terminal, "exit" or Ctrl-D quits and Ctrl-C
  cancels the current question. The exit status is 1 if a query failed or a line from a pipe got no answer, 2 if the
  input was wrong, and 130 after Ctrl-C.

  The prompt has the settings that the model was trained with (config.yaml of its run, kid_export.json of its export).
  The database is opened read-only, and a query that takes too long or too much memory is stopped.
"""
MARKER = "question> "
END_WORD = "exit"
SHOWN = 20  # rows
NAMED_CHARACTERS = 60  # of a question from a pipe, in its error line


def parse() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, epilog=EXAMPLE, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("question", nargs="?", help="without it, questions are read line by line")
    parser.add_argument("--model", required=True, metavar="DIR", type=Path, help="folder of a run or of a model")
    parser.add_argument("--database", required=True, metavar="F", type=Path, help="a SQLite file")
    parser.add_argument(
        "--tables", metavar="F", type=Path, help="tables.json with the plain names of its tables and columns"
    )
    parser.add_argument(
        "--evidence-text", metavar="TEXT", default="", help="knowledge needed for the answer (BIRD's evidence)"
    )
    only_help = "print one line of SQL for each question (empty if it failed) and do not run it"
    parser.add_argument("--sql-only", action="store_true", help=only_help)
    prompt_help = "print the model's prompt before the SQL (with --sql-only: to stderr)"
    parser.add_argument("--print-prompt", action="store_true", help=prompt_help)
    add_decoding_flags(parser)
    arguments = parser.parse_args()
    check_decoding_flags(arguments)
    if arguments.question is not None and not arguments.question.strip():
        raise InputError("the question is empty; ask one, in quotation marks")
    if arguments.database.is_dir():
        files = sorted(map(str, arguments.database.rglob("*.sqlite")))
        found = f", for example {files[0]}" if files else "; the folder has no .sqlite"
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
        # As Text, so that a cell is never read as rich's markup.
        table.add_row(*[Text("NULL", style="dim") if value is None else Text(printable(str(value))) for value in row])
    console.print(table)
    count = f"{len(rows)} row{'' if len(rows) == 1 else 's'}"
    more = len(rows) > SHOWN
    console.print(f"the first {SHOWN} rows; there are more" if more else count, highlight=False)


def print_sql(sql: str) -> None:
    """Print SQL for another program, unescaped unless stdout is a terminal."""
    print(sql, file=sys.stdout if sys.stdout.isatty() else unescaped(sys.stdout), flush=True)


def answer(asker: Asker, question: str, sql_only: bool, print_prompt: bool) -> None:
    """Print the SQL for a question and its rows. Raises InputError or RunError if the question has no answer."""
    prompt = asker.encode(question)
    if prompt.cut:
        limit = f"the prompt's {asker.settings.max_prompt_length}"
        print(f"note: {prompt.cut} tokens of the schema do not fit into {limit} and are cut", file=sys.stderr)
    if print_prompt:
        text = asker.tokenizer.decode(prompt.ids, clean_up_tokenization_spaces=False)
        print(text, end="", file=sys.stderr if sql_only else sys.stdout, flush=True)
    sql = asker.write_sql(prompt)
    if sql_only:
        print_sql(sql)
        return
    print(sql, flush=True)
    show(*asker.run(sql, SHOWN + 1))


def read_line(at_terminal: bool) -> str | None:
    """Return the next question, stripped; None at the end of the input."""
    marker = MARKER if at_terminal else ""
    if marker and not sys.stdout.isatty():  # another program reads stdout
        print(marker, end="", file=sys.stderr, flush=True)
        marker = ""
    try:
        return input(marker).strip()
    except EOFError:
        if at_terminal:
            print(file=sys.stderr)
        return None


def answer_lines(asker: Asker, sql_only: bool, print_prompt: bool) -> None:
    """Answer each line of the standard input. A question that cannot be answered gets one error line on stderr.

    At a terminal the question is the line above; for one from a pipe, the error names its line and its beginning.
    """
    if sys.stdin is None:
        raise InputError("there is no question and no standard input to read questions from; give a question")
    at_terminal = sys.stdin.isatty()
    sys.stdin.reconfigure(errors="surrogateescape")  # a line that is not UTF-8 fails alone
    if at_terminal:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  # gives input() line editing and a history
    asker.encode("?")  # fails on an unreadable database before the model is loaded
    _ = asker.model
    if at_terminal:
        print(f"ask about {asker.database}; {END_WORD} or Ctrl-D quits", file=sys.stderr)
    line = unanswered = 0
    while (question := read_line(at_terminal)) not in (None, END_WORD):
        line += 1
        try:
            if question:
                answer(asker, question, sql_only, print_prompt)
            elif sql_only and not at_terminal:
                print_sql("")
        except (InputError, RunError) as error:
            unanswered += 1
            start = question if len(question) <= NAMED_CHARACTERS else f"{question[:NAMED_CHARACTERS]}..."
            print_error(str(error) if at_terminal else f'line {line} ("{start}"): {error}')
            if sql_only:
                print_sql("")
        except KeyboardInterrupt:
            if not at_terminal:
                raise
            print("\nthe question is cancelled", file=sys.stderr)
    if unanswered and not at_terminal:
        sys.exit(1)


def ask(args: argparse.Namespace) -> None:
    from kid.evaluation.asking import Asker, prompt_settings, tables_note
    from kid.progress import silence_libraries

    silence_libraries()
    settings, lines = prompt_settings(args.model, args.max_completion_length)
    if args.evidence_text and not settings.evidence:
        lines.append("note: the model was trained without evidence, but this prompt has evidence")
        settings = replace(settings, evidence=True)
    if args.tables is None and (note := tables_note(args.model, args.database)):
        lines.append(note)
    for line in lines:
        print(line, file=sys.stderr)
    asker = Asker(args.model, args.database, settings, args.beams, args.evidence_text, args.tables)
    if args.question is None:
        answer_lines(asker, args.sql_only, args.print_prompt)
    else:
        answer(asker, args.question, args.sql_only, args.print_prompt)


def main() -> None:
    args = parse()
    try:
        ask(args)
    except BrokenPipeError:  # the program that reads the SQL has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), unescaped(sys.stdout).fileno())


if __name__ == "__main__":
    run_script(main, kept="nothing was written; the database is only read")
