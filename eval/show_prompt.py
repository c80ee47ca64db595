"""Show the prompt of a question as the model sees it, or the lengths of all prompts of a split and what is skipped."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import SimpleNamespace

from cli import add_data_flags, check_data_flags, prompt_config, take_settings
from rich.table import Table
from rich.text import Text

from kid.config.templates import is_template
from kid.config.trained import student_folder
from kid.console import Console
from kid.errors import InputError, OneLineParser, run_script
from kid.terminal import printable

EXAMPLE = """examples:
  python eval/show_prompt.py --benchmark spider --data spider --index 17 --model Qwen/Qwen1.5-0.5B
  python eval/show_prompt.py --benchmark spider --data spider --split train --stats --model runs/kid/adapter

  Without --model, words and punctuation marks count as tokens: good enough to read a prompt, but lengths are too short.
"""
COLOURS = {"prompt": "bold", "schema": "cyan", "matched contents": "green", "question": "bold", "SQL": "magenta"}
COLOURS |= {"shared": "cyan", "question's own": "bold"}  # in a template of the user's own
BAR_WIDTH = 50
BINS = 16
console = Console(soft_wrap=True, highlight=False)


def parse() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, epilog=EXAMPLE, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--index", type=int, metavar="N", help="show the prompt of question N of the split, from 0")
    parser.add_argument("--stats", action="store_true", help="show lengths, and what is skipped with the reasons")
    parser.add_argument("--model", metavar="DIR", help="folder or hub id of the model whose tokenizer to use")
    parser.add_argument(
        "--max-completion-length",
        type=int,
        help="training skips outputs with more tokens [as in the model's training, else 128]",
    )
    parser.add_argument("--json", metavar="F", type=Path, help="write the numbers of --stats to this file")
    add_data_flags(parser)
    arguments = parser.parse_args()
    check_data_flags(arguments)
    if arguments.stats == (arguments.index is not None):
        raise InputError("give either --index N, to show one prompt, or --stats")
    if arguments.max_completion_length is not None and arguments.max_completion_length < 1:
        raise InputError(f"--max-completion-length {arguments.max_completion_length} is out of range; give 1 or more")
    if arguments.json and (arguments.json.is_dir() or not arguments.stats):
        raise InputError(f"--json {arguments.json}: name a file, and give --stats")
    return arguments


class PieceTokenizer:
    """A tokenizer for which every word and every punctuation mark of `texts` is a token.

    It implements the part of a transformers tokenizer that prompts need. Importing transformers takes as long as
    everything else that a prompt needs.
    """

    bos_token_id, eos_token_id = None, 1

    def __init__(self, texts: list[str]):
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        tokenizer = self.backend_tokenizer = Tokenizer(models.WordLevel(unk_token="<|unknown|>"))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.WordLevelTrainer(
            vocab_size=2**24, special_tokens=["<|unknown|>", "<|end|>"], show_progress=False
        )
        tokenizer.train_from_iterator([f"\n{text}" for text in texts], trainer)

    def __call__(self, text, add_special_tokens: bool = True, split_special_tokens: bool = False) -> SimpleNamespace:
        self.backend_tokenizer.encode_special_tokens = split_special_tokens
        if isinstance(text, str):
            return SimpleNamespace(input_ids=self.backend_tokenizer.encode(text).ids)
        return SimpleNamespace(input_ids=[part.ids for part in self.backend_tokenizer.encode_batch(text)])

    def decode(self, ids: list[int]) -> str:
        return self.backend_tokenizer.decode(ids, skip_special_tokens=False)


def find_tokenizer(model: str | None, texts: list[str], chat_template: str):
    """Return the model's tokenizer, or a `PieceTokenizer` of `texts` without a model."""
    from kid.models.pretrained import find_model, load_tokenizer

    if not model:
        if is_template(chat_template):
            raise InputError("--chat-template FILE needs the tokens of a model; add --model DIR")
        return PieceTokenizer(texts)
    folder = student_folder(Path(model), "--model")
    return load_tokenizer(folder if folder.is_dir() else find_model(model, "--model"), "--model", chat_template)


def show_prompt(arguments: argparse.Namespace) -> None:
    from kid.data.annotation import annotate_questions, tokenizer_corpus
    from kid.data.prepare import row_encoder, sharing_note
    from kid.data.prompts.encoder import PromptEncoder
    from kid.data.prompts.template import find_form
    from kid.data.reading import load_split, read_schemas
    from kid.data.sqlite_schema import missing_keys_note

    config = prompt_config(arguments)
    find_form(config.prompt)  # a template's errors first
    loaded = load_split(config, arguments.split, arguments.index)
    (question,) = loaded.questions
    schemas, reasons = read_schemas(loaded, config.missing_database)
    texts = annotate_questions(loaded, schemas, config.evidence, "")
    if question.index not in texts:
        reason = question.fault or reasons.get(question.db_id, "damaged database")
        raise InputError(f"question {question.index} on {question.db_id or 'no database'} has no prompt: {reason}")
    corpus = tokenizer_corpus(schemas, texts, config.evidence, config.prompt)
    tokenizer = find_tokenizer(arguments.model, corpus, config.chat_template)
    row = row_encoder(loaded, schemas, texts, config, arguments.split, tokenizer)({"index": [question.index]})
    row = {name: values[0] for name, values in row.items()}
    ids, shared = row["prompt_ids"], row["shared"]
    if question.prompt:
        parts = {"prompt": ids}
    elif is_template(config.prompt):
        parts = {"shared": ids[:shared], "question's own": ids[shared:]}
    else:
        (last,) = PromptEncoder(tokenizer, config).questions([question])
        before = len(ids) - len(last)
        parts = {"schema": ids[:shared], "matched contents": ids[shared:before], "question": ids[before:]}
    parts["SQL"] = row["completion_ids"]
    counts = ", ".join(f"[{COLOURS[name]}]{name} {len(part)}[/]" for name, part in parts.items() if name != "SQL")
    on = f", database {question.db_id}" if question.db_id else ""
    console.print(f"question {question.index} of {arguments.benchmark} {arguments.split}{on}", markup=False)
    console.print(
        f"prompt: {len(ids)} tokens of at most {config.max_prompt_length} ({counts})"
        + ("; the schema is filtered" if row["filtered"] else "")
        + (f"; {row['cut']} tokens cut from the left" if row["cut"] else ""),
        markup=True,
    )
    rough = "" if arguments.model else "tokens are counted roughly; --model DIR counts with a model's tokenizer"
    for note in filter(None, (rough, missing_keys_note(schemas), sharing_note(config.prompt))):
        console.print(f"note: {note}", markup=False)
    console.print(f"output: {len(row['completion_ids'])} tokens with EOS\n")
    for name, part in parts.items():
        console.print(Text(printable(tokenizer.decode(part)), style=COLOURS[name]), end="")
    console.print()


def histogram(title: str, lengths: list[int], limit: int) -> Table:
    """Return a table with bars: how many of `lengths` are in each of up to 16 bins of equal width."""
    step = max(1, -(-max(lengths) // BINS))
    step = -(-step // 10) * 10 if step > 10 else step
    counts = [0] * (max(lengths) // step + 1)
    for length in lengths:
        counts[length // step] += 1
    table = Table(title=f"{title}: median {sorted(lengths)[len(lengths) // 2]}, longest {max(lengths)}, limit {limit}")
    for name in ("tokens", "questions", ""):
        table.add_column(name, justify="left" if not name else "right")
    for place, count in enumerate(counts):
        bar = "█" * -(-count * BAR_WIDTH // max(counts))
        table.add_row(f"{place * step} to {(place + 1) * step - 1}", str(count), bar)
    return table


def show_stats(arguments: argparse.Namespace) -> None:
    from kid.data.annotation import annotate_questions, tokenizer_corpus
    from kid.data.dataset import filter_long_outputs, long_prompt_remarks
    from kid.data.prepare import prepare
    from kid.data.reading import load_split, read_schemas
    from kid.files import write_atomically

    config = prompt_config(arguments)
    texts: list[str] = []
    if not arguments.model:
        loaded = load_split(config, arguments.split)
        schemas, _ = read_schemas(loaded, config.missing_database)
        annotated = annotate_questions(loaded, schemas, config.evidence, arguments.split)
        texts = tokenizer_corpus(schemas, annotated, config.evidence, config.prompt)
    prepared = prepare(config, arguments.split, find_tokenizer(arguments.model, texts, config.chat_template))
    lengths = {
        "prompts": (prepared.lengths("prompt_ids"), config.max_prompt_length),
        "outputs": (prepared.lengths("completion_ids"), arguments.max_completion_length),
    }
    remarks = long_prompt_remarks(prepared, config.max_prompt_length)
    remarks += filter_long_outputs(prepared, arguments.max_completion_length)[1] + prepared.remarks()
    console.print(
        f"{arguments.benchmark} {arguments.split}: {len(prepared.questions)} questions, {len(prepared.rows)} prompts"
    )
    for name, (values, limit) in lengths.items():
        if values:
            console.print(histogram(name, values, limit))
    for remark in remarks or ["nothing was cut or skipped"]:
        console.print(remark, markup=False)
    if arguments.json:
        content = {
            "benchmark": arguments.benchmark,
            "split": arguments.split,
            "questions": len(prepared.questions),
            "lengths": {name: values for name, (values, _) in lengths.items()},
            "left_out": prepared.left_out,
            "remarks": remarks,
        }
        write_atomically(arguments.json, json.dumps(content) + "\n")


def main() -> None:
    arguments = parse()
    take_settings(arguments, student_folder(Path(arguments.model), "--model") if arguments.model else None)
    if arguments.stats:
        show_stats(arguments)
    else:
        show_prompt(arguments)


if __name__ == "__main__":
    run_script(main)
