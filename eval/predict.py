"""Write a model's SQL for every question of a split, one line per question, in the benchmark's order."""

import argparse
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from cli import (
    TRAINED,
    add_data_flags,
    add_decoding_flags,
    check_data_flags,
    check_decoding_flags,
    prompt_config,
    take_settings,
)

from kid.config.trained import existing_student
from kid.errors import InputError, OneLineParser, report_write_errors, run_script
from kid.files import check_writable

EXAMPLE = """examples:
  python eval/predict.py --model runs/kid --benchmark spider --data spider --output runs/kid/predictions/dev.sql
  python eval/predict.py --model runs/kid --benchmark spider --data spider --beams 4 --output beams.sql
  python eval/predict.py --model runs/kid --benchmark spider --data spider --samples 8 --output preds.sql
  python eval/score.py --benchmark spider --data spider --predictions runs/kid/predictions/dev.sql

  Prompts have the settings that the model was trained with, read from config.yaml of its run or kid_export.json of its
  export; a note is printed if a flag differs. An adapter is merged into its base, unless you give --merge no. A skipped
  question (--missing-database skip, --damaged skip) gets an empty line. With --beams, the prediction is the first
  candidate that the question's database accepts.
  --samples K also samples K outputs of each question and writes them to OUTPUT.samples.jsonl, for votes and pass@k
  (eval/score.py --vote majority); OUTPUT has the greedy predictions as usual. Finished batches are kept in OUTPUT.part;
  an interrupted run resumes from there. OUTPUT.made.json records how the predictions were made.
"""


def parse() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, epilog=EXAMPLE, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, metavar="DIR", type=Path, help="folder of a run, adapter or model")
    parser.add_argument("--output", required=True, metavar="F", type=Path, help="file to write, one SQL query per line")
    overwrite_help = "replace F (default: an error, unless F already holds these predictions)"
    parser.add_argument("--overwrite", action="store_true", help=overwrite_help)
    add_decoding_flags(parser)
    parser.add_argument("--samples", metavar="K", type=int, help="also sample K outputs of each question [none]")
    temperature_help = "temperature of --samples; divides the logits [1]"
    parser.add_argument("--temperature", metavar="T", type=float, help=temperature_help)
    side_by_side_help = "sequences decoded together, including beams and samples [32]"
    parser.add_argument("--batch-size", type=int, default=32, help=side_by_side_help)
    parser.add_argument("--merge", choices=("yes", "no"), default="yes", help="merge an adapter into its base [yes]")
    add_data_flags(parser)
    arguments = parser.parse_args()
    check_data_flags(arguments)
    check_decoding_flags(arguments, "batch_size")
    check_sampling_flags(arguments)
    return arguments


def check_sampling_flags(arguments: argparse.Namespace) -> None:
    """Raise InputError if `--samples` or `--temperature` is out of range or has no effect."""
    count, temperature = arguments.samples, arguments.temperature
    if count is None:
        if temperature is not None:
            raise InputError("--temperature has no effect without --samples; give both or neither")
        return
    if arguments.beams > 1:
        raise InputError(f"--samples {count} and --beams {arguments.beams} exclude each other; give one of them")
    if count < 1:
        raise InputError(f"--samples {count} is out of range; it must be 1 or more")
    if temperature is None:
        arguments.temperature = 1.0
    elif not 0 < temperature < float("inf"):
        raise InputError(f"--temperature {temperature:g} is out of range; it must be above 0")


def part_of(output: Path) -> Path:
    """Return the file of unfinished predictions.

    Its first line records how they are made; then each question has a line of candidates and, with --samples, a line of
    samples.
    """
    return output.with_name(f"{output.name}.part")


def decoded_so_far(part: Path, made: dict) -> tuple[dict[int, list[str]], dict[int, list]]:
    """Read an interrupted run: (index of the prompt -> candidates, index of the prompt -> samples).

    An incomplete last line is ignored.

    Raises:
        InputError: they were made with other settings, or the file is damaged.
    """
    from kid.evaluation.provenance import differences
    from kid.evaluation.samples_file import SampledQuery

    candidates: dict[int, list[str]] = {}
    samples: dict[int, list] = {}
    try:
        whole = part.read_bytes().split(b"\n")[:-1]  # without an incomplete last line
        before, *lines = [json.loads(line) for line in whole] or [made]
        for line in lines:
            if "samples" in line:
                samples[line["place"]] = [SampledQuery(str(text), float(value)) for text, value in line["samples"]]
            else:
                candidates[line["place"]] = [str(text) for text in line["candidates"]]
        differ = differences(before, made)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{part} is damaged; remove it to start again or choose another --output") from None
    if differ:
        raise InputError(
            f"{part} holds predictions made with other settings; these differ: {', '.join(differ)}; give the same "
            "values to resume, remove the file, or choose another --output"
        )
    return candidates, samples


def is_begun(part: Path, made: dict) -> bool:
    """Whether `part` is of an interrupted run with this record, which was already allowed to write its output."""
    from kid.evaluation.provenance import differences

    try:
        with part.open(encoding="utf-8") as file:
            return not differences(json.loads(file.readline()), made)
    except (OSError, ValueError, AttributeError, TypeError):
        return False


@contextmanager
def only_writer(part: Path, output: Path) -> Iterator[TextIO]:
    """Open the file of unfinished predictions for appending; no other process can do so until the end of the block.

    Raises:
        InputError: another process is writing it, or has just finished.
    """
    with part.open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # released when the process ends, however it ends
        except BlockingIOError:
            raise InputError(
                f"--output {output} is being written by another process; wait for it or choose another"
            ) from None
        if not part.exists() or not os.path.samestat(part.stat(), os.fstat(file.fileno())):
            raise InputError(f"--output {output} has just been written by another process; run the command again")
        yield file


def draw_missing(args: argparse.Namespace, model, tokenizer, prompts: list, indices: list, drawn: dict, file) -> None:
    """Draw the samples that are missing in `drawn` (index of the prompt -> samples); add them to it and to the file."""
    from kid.evaluation.sampling import draw_samples
    from kid.progress import progress_bar

    how = {"count": args.samples, "temperature": args.temperature, "seed": args.seed, "done": drawn}
    limit, size = args.max_completion_length, args.batch_size
    with progress_bar(f"samples {args.split}", "question", len(prompts), len(drawn)) as bar:
        for place, own in draw_samples(model, tokenizer, prompts, indices, limit, size, **how):
            file.write(json.dumps({"place": place, "samples": own}) + "\n")
            file.flush()
            bar.update(place not in drawn)
            drawn[place] = own


def choose(args: argparse.Namespace, prepared, candidates: list[list[str]]) -> tuple[list[str], list[str]]:
    """Choose one candidate for each question that has a prompt; returns them and remarks on the choice."""
    from kid.data.database import check_not_in_use
    from kid.data.questions import find_databases
    from kid.evaluation.candidates import choose_accepted
    from kid.progress import progress_bar

    chosen, db_ids = [lines[0] for lines in candidates], prepared.rows["db_id"]
    known = sorted({db_id for db_id in db_ids if db_id})
    found = find_databases(args.benchmark, args.split, args.data, known, args.databases, args.missing_database)
    for path in found.values():
        check_not_in_use(path)
    places = [place for place, db_id in enumerate(db_ids) if db_id in found]
    with progress_bar("first accepted", "question", len(places)) as bar:
        taken = choose_accepted([candidates[p] for p in places], [found[db_ids[p]] for p in places], report=bar.update)
    for place, candidate in zip(places, taken, strict=True):
        chosen[place] = candidates[place][candidate]
    remarks = [
        f"{sum(map(bool, taken))} of {len(places)} predictions are not the most probable candidate, because the "
        "database does not accept that one"
    ]
    if len(places) < len(candidates):
        remarks.append(f"{len(candidates) - len(places)} questions have no database; their most probable one is used")
    return chosen, remarks


def main() -> None:
    args = parse()
    folder, output = existing_student(args.model, "--model"), args.output
    if output.is_dir():
        raise InputError(f"--output {output} is a folder; name a file")
    check_writable(output.parent, "--output")
    take_settings(args, folder)
    # After the flags are checked: importing torch and transformers takes seconds.
    from kid.data.batching import ArrowSamples
    from kid.data.cache import json_hash
    from kid.data.dataset import long_prompt_remarks
    from kid.data.prepare import prepare
    from kid.data.questions import questions_hash
    from kid.evaluation.prediction import decode_candidates, default_device, load_model
    from kid.evaluation.provenance import HASH_KEY, QUESTIONS_KEY, holds_predictions, provenance_path
    from kid.evaluation.samples_file import samples_line, samples_path
    from kid.evaluation.sampling import check_can_sample
    from kid.files import drop_torn_line, file_sha256, write_atomically
    from kid.models.pretrained import find_teacher, fingerprint, load_tokenizer
    from kid.models.windows import check_positions, open_windows
    from kid.progress import progress_bar, silence_libraries

    silence_libraries()
    tokenizer = load_tokenizer(folder, "--model", args.chat_template)
    prepared = prepare(prompt_config(args), args.split, tokenizer)
    prompts, device = list(prepared.rows["prompt_ids"]), default_device()
    made = {"model": str(folder), "weights": fingerprint(find_teacher(str(folder), "--model"))}
    made |= {"benchmark": args.benchmark, "split": args.split, "prompts": json_hash(prompts)}
    made[QUESTIONS_KEY] = questions_hash(prepared.questions, gold=False)
    made["evidence"] = args.evidence if any(question.evidence for question in prepared.questions) else None
    made |= {name: getattr(args, name) for name in ("max_completion_length", "beams", "batch_size")}
    made["device"] = device
    if args.samples:
        made |= {name: getattr(args, name) for name in ("samples", "temperature", "seed")}
    if args.merge == "no":
        made["merge"] = args.merge
    made["settings"] = {name: getattr(args, name) for name in TRAINED}
    part = part_of(output)
    there = not is_begun(part, made) and holds_predictions(output, made, args.overwrite)
    if there and (not args.samples or samples_path(output).is_file()):
        print(f"{output} already holds these predictions; give --overwrite to make them again")
        return
    part.parent.mkdir(parents=True, exist_ok=True)
    with report_write_errors(output), only_writer(part, output) as file:
        candidates, drawn = decoded_so_far(part, made)
        if candidates:
            also = f", and the samples of {len(drawn)}" if args.samples else ""
            print(f"{part}: resuming after {len(candidates)} of {len(prompts)} questions{also}")
        drop_torn_line(part)
        model = load_model(folder, device, merge=args.merge == "yes")
        longest = max(map(len, prompts), default=0)
        check_positions(f"--model {folder}", model.config, longest, args.max_completion_length, "up to ")
        open_windows(model, longest + args.max_completion_length)
        if args.samples:
            check_can_sample(model, f"--model {folder}")
        with progress_bar(f"predict {args.split}", "question", len(prompts), len(candidates)) as bar:
            if not part.stat().st_size:
                file.write(json.dumps(made) + "\n")
            limit, samples = args.max_completion_length, list(ArrowSamples(prepared.rows))
            for batch in decode_candidates(model, tokenizer, samples, limit, args.batch_size, args.beams, candidates):
                file.write("".join(json.dumps({"place": p, "candidates": lines}) + "\n" for p, lines in batch))
                file.flush()
                bar.update(sum(place not in candidates for place, _ in batch))
                candidates |= dict(batch)
        if args.samples:
            draw_missing(args, model, tokenizer, samples, prepared.rows["index"], drawn, file)
        found, remarks = [candidates[place][0] for place in range(len(prompts))], []
        if args.beams > 1:
            found, remarks = choose(args, prepared, [candidates[place] for place in range(len(prompts))])
        lines = [""] * len(prepared.questions)
        for index, line in zip(prepared.rows["index"], found, strict=True):
            lines[index] = line
        if args.samples:
            of_question = {index: drawn[place] for place, index in enumerate(prepared.rows["index"])}
            content = "".join(samples_line(index, of_question.get(index, [])) for index in range(len(lines)))
            write_atomically(samples_path(output), content)
            remarks.append(f"{samples_path(output)}: {args.samples} samples of each")
        write_atomically(output, "".join(f"{line}\n" for line in lines))
        made[HASH_KEY] = file_sha256(output)
        write_atomically(provenance_path(output), json.dumps(made, indent=1) + "\n")
        part.unlink()
    print(f"{output}: {len(lines)} lines, {len(found)} predictions")
    for remark in remarks + long_prompt_remarks(prepared, args.max_prompt_length) + prepared.remarks():
        print(remark)


if __name__ == "__main__":
    run_script(main, kept="predictions made so far are kept beside --output; run the same command again to continue")
