"""Read and check all inputs of a run, before any model is loaded and before anything is written."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from transformers import PreTrainedConfig, PreTrainedTokenizerFast

from kid.config.deepspeed_config import STUDENT_FLAG, TEACHER_FLAG, read_deepspeed_config
from kid.config.keys import unused_reason
from kid.config.methods import METHODS, ON_POLICY
from kid.config.run_config import RunConfig
from kid.data.batching import Dataset
from kid.data.cache import json_hash
from kid.data.dataset import load_dataset
from kid.data.order import steps_per_epoch
from kid.data.teacher_outputs import read_teacher_outputs, with_teacher_outputs
from kid.data.teacher_states import TeacherStates, check_header, layout_of, read_header, states_header
from kid.data.tokenizers import compare_tokenizers
from kid.errors import InputError
from kid.models.hashes import HASHES_FILE, check_hashes
from kid.models.loading import read_model_config, stored_tensors
from kid.models.pretrained import (
    Pretrained,
    TokenIds,
    find_model,
    find_teacher,
    fingerprint,
    load_tokenizer,
    token_ids,
)
from kid.models.windows import check_positions
from kid.run.directory import run_identity
from kid.training.checks import check_run, check_teacher_run, loads_teacher
from kid.training.evaluation import ExQuestions, read_ex_questions

VALIDATION_SAMPLES = 64


@dataclass
class Inputs:
    """All inputs of the user, read and checked; nothing has been written yet.

    teacher: the teacher to load; None for a method without a teacher, and if its states are stored.
    teacher_hash: its fingerprint; empty for a method without a teacher.
    warning: about a probable mistake; empty if there is none.
    tokenizer_remark: how the tokenizers of student and teacher differ; empty if they do not.
    """

    student: Path
    teacher: Pretrained | None
    teacher_hash: str
    student_deepspeed: dict
    teacher_deepspeed: dict | None
    tokenizer: PreTrainedTokenizerFast
    tokens: TokenIds
    train: Dataset
    teacher_outputs: Dataset | None
    validation: Dataset | None
    ex: ExQuestions | None
    total_steps: int
    identity: dict[str, str]
    warning: str = ""
    tokenizer_remark: str = ""

    @property
    def prompt_lengths(self) -> list[int]:
        """The length of every prompt of the run in tokens."""
        datasets = filter(None, (self.train, self.teacher_outputs, self.validation))
        asked = [len(sample.prompt_ids) for sample in (self.ex.samples if self.ex else []) if sample]
        return [length for dataset in datasets for length in dataset.prompt_lengths] + asked


def read_inputs(config: RunConfig, given_teacher: str = "") -> Inputs:
    """Check and read all inputs of a run, cheapest first. Raises InputError; writes nothing.

    given_teacher: the user's --teacher, needed if the teacher's states are stored.
    """
    check_run(config)  # again, now with the run's lock: the script did so before torch was imported
    loads = loads_teacher(config)
    student_deepspeed = read_deepspeed_config(config.deepspeed, STUDENT_FLAG)
    teacher_deepspeed = read_deepspeed_config(config.teacher_deepspeed, TEACHER_FLAG) if loads else None
    student = find_model(config.student, "--student")
    tokenizer = load_tokenizer(student, "--student", config.chat_template)
    tokens = token_ids(tokenizer, config.mask_token)
    teacher, remark = find_teacher(config.teacher, "--teacher") if loads else None, ""
    if teacher:
        theirs = load_tokenizer(teacher.tokenizer, "--teacher", config.chat_template)
        remark = compare_tokenizers(tokenizer, theirs, config.student, config.teacher, config.chat_template)
        check_mask_token(config, tokenizer, theirs, tokens.mask)
        # Neither model is given an id that only the other one knows.
        tokens = replace(tokens, count=min(tokens.count, len(theirs)))
    models = {f"--student {config.student}": read_model_config(student)}
    if teacher:
        models[f"--teacher {config.teacher}"] = read_model_config(teacher.base)
    check_special_tokens(config, tokens, models)
    # Only opens the files, to find missing or damaged weights before anything is written.
    student_size, teacher_size = parameter_count(student), parameter_count(teacher.base) if teacher else None
    if teacher and teacher.adapter:
        stored_tensors(teacher.adapter)
    teacher_hash = fingerprint(teacher) if teacher else ""
    outputs = read_teacher_outputs(config, teacher_hash) if config.teacher_outputs else None
    train = load_dataset(config, "train", tokenizer)
    if config.teacher_states:
        train, teacher_hash = read_teacher_states(config, tokenizer, train, given_teacher)
    taught = with_teacher_outputs(train, outputs, config.teacher_outputs) if outputs else None
    validation = load_dataset(config, "dev", tokenizer, max_samples=VALIDATION_SAMPLES) if config.eval_steps else None
    ex = read_ex_questions(config, tokenizer)
    if taught:
        check_known(config, taught, tokens)
    on_policy = ON_POLICY in METHODS[config.method].sources
    longest = longest_pair(config, [one for one in (train, taught, validation) if one], on_policy)
    for name, model in models.items():
        check_positions(name, model, *longest)
    if ex and (asked := [len(sample.prompt_ids) for sample in ex.samples if sample]):
        name = f"--student {config.student}"
        check_positions(name, models[name], max(asked), config.max_completion_length, "up to ")
    total = config.epochs * steps_per_epoch(len(train.samples), config.batch_size)
    total = min(total, config.max_steps) if config.max_steps else total
    stage = student_deepspeed["zero_optimization"]["stage"]
    layouts = [layout_of(data) for data in (train, taught) if data]
    training_set = json_hash([(layout.prompts, layout.outputs) for layout in layouts])
    identity = run_identity(config, Pretrained(student, None, student), teacher_hash, stage, training_set)
    return Inputs(
        student, teacher, teacher_hash, student_deepspeed, teacher_deepspeed, tokenizer, tokens,
        train, taught, validation, ex, total, identity, size_warning(student_size, teacher_size), remark,
    )  # fmt: skip


def check_known(config: RunConfig, taught: Dataset, tokens: TokenIds) -> None:
    """Raise InputError if a teacher's output has ids that the student's tokenizer lacks: added tokens."""
    alien = [sample for sample in taught.samples if max(sample.completion_ids) >= tokens.count]
    if alien:
        raise InputError(
            f"--teacher-outputs {config.teacher_outputs} has {len(alien)} outputs with tokens that only the teacher's "
            f"tokenizer has, first id {max(alien[0].completion_ids)}; use a teacher with the student's tokenizer"
        )


def check_mask_token(
    config: RunConfig, ours: PreTrainedTokenizerFast, theirs: PreTrainedTokenizerFast, mask: int
) -> None:
    """Raise InputError if the teacher reads the mask token (`--rewrite mask-only`) but its tokenizer has another."""
    token = str(ours.convert_ids_to_tokens(mask))
    reads = config.rewrite == "mask-only" and unused_reason("mask_token", config) is None
    if reads and theirs.get_vocab().get(token) != mask:
        raise InputError(
            f"--rewrite mask-only shows the mask token {token} to --teacher {config.teacher}, whose tokenizer does not "
            f"have it as id {mask}; name one that both have with --mask-token"
        )


def check_special_tokens(config: RunConfig, tokens: TokenIds, models: dict[str, PreTrainedConfig]) -> None:
    """Raise InputError if EOS or, where it is used, the mask token is beyond the rows of a model that reads it.

    Some tokenizers have tokens that were added without enlarging the model.

    models: the configurations, by flag and value; the student's is the first.
    """
    read = [(name, "EOS", tokens.eos, "use the model's own tokenizer") for name in models]
    if unused_reason("mask_token", config) is None:
        readers = models if config.rewrite == "mask-only" else list(models)[:1]  # otherwise only the student reads it
        read += [(name, "mask", tokens.mask, "name another with --mask-token") for name in readers]
    for name, what, token, cure in read:
        rows = models[name].get_text_config().vocab_size
        if token >= rows:
            raise InputError(f"{name}: the {what} token has id {token}, but the model has {rows} rows; {cure}")


def parameter_count(folder: Path) -> int:
    """Return the number of weights in a model's files. Raises InputError if files are missing or damaged."""
    return sum(math.prod(tensor.shape) for tensor in stored_tensors(folder).values())


def size_warning(student: int, teacher: int | None) -> str:
    """Return a warning if the teacher has fewer parameters than the student; empty otherwise."""
    if teacher is None or teacher >= student:
        return ""
    return (
        f"the teacher has fewer parameters than the student ({teacher:,} and {student:,}); did you swap --teacher and "
        "--student?"
    )


def longest_sequence(config: RunConfig, prompt_lengths: list[int]) -> int:
    """The largest number of tokens of a prompt and its output together; a prompt may be over --max-prompt-length."""
    return max(config.max_prompt_length, *prompt_lengths) + max(config.max_completion_length, config.decoding_limit)


def longest_pair(config: RunConfig, datasets: list[Dataset], decodes: bool) -> tuple[int, int, str]:
    """Return the tokens of the prompt and the output that are longest together, and "up to " if it decodes the output.

    Unlike `longest_sequence`, gold outputs count with their own lengths. decodes: whether outputs are decoded, too.
    """
    pairs = [pair for data in datasets for pair in zip(data.prompt_lengths, data.completion_lengths, strict=True)]
    found = [(*max(pairs, key=sum), "")]
    if decodes:
        found.append((max(prompt for prompt, _ in pairs), config.decoding_limit, "up to "))
    return max(found, key=lambda pair: pair[0] + pair[1])


@dataclass
class TeacherInputs:
    """The inputs of a script that runs only the teacher; `train` has the prompts that the student will see."""

    deepspeed: dict
    teacher: Pretrained
    teacher_hash: str
    tokenizer: PreTrainedTokenizerFast
    train: Dataset


def read_teacher_inputs(config: RunConfig, decodes: bool) -> TeacherInputs:
    """Check and read the inputs of a script that runs only the teacher. Raises InputError; writes nothing.

    decodes: whether the teacher decodes outputs, instead of reading the gold SQL.
    """
    check_teacher_run(config)
    values = read_deepspeed_config(config.teacher_deepspeed, TEACHER_FLAG)
    teacher = find_teacher(config.teacher, "--teacher")
    tokenizer = load_tokenizer(teacher.tokenizer, "--teacher", config.chat_template)
    model = read_model_config(teacher.base)
    for folder in filter(None, (teacher.base, teacher.adapter)):
        stored_tensors(folder)
    train = load_dataset(config, "train", tokenizer)
    check_positions(f"--teacher {config.teacher}", model, *longest_pair(config, [train], decodes))
    return TeacherInputs(values, teacher, fingerprint(teacher), tokenizer, train)


def name_teacher(config: RunConfig) -> RunConfig:
    """Set the teacher's name from its stored states if no teacher was given. Raises InputError if there are none."""
    if not config.teacher_states or config.teacher:
        return config
    return replace(config, teacher=read_header(Path(config.teacher_states))["name"])


def read_teacher_states(
    config: RunConfig, tokenizer: PreTrainedTokenizerFast, train: Dataset, given_teacher: str
) -> tuple[Dataset, str]:
    """Return (the training set with its teacher's states, the teacher's fingerprint).

    A given teacher must be the one that the states are from. Its files are compared, or its name if it does not exist.

    Raises:
        InputError: the states are incomplete, damaged, or from another teacher or other samples.
    """
    folder = Path(config.teacher_states)
    there = read_header(folder)
    if not (folder / HASHES_FILE).exists():
        raise InputError(f"--teacher-states {folder} is not complete; run train/teacher_states.py again to resume")
    check_hashes(folder)
    teacher_hash = there["teacher"]
    if given_teacher and Path(given_teacher).exists():
        teacher_hash = fingerprint(find_teacher(given_teacher, "--teacher"))
    elif given_teacher not in ("", there["name"]):
        raise InputError(
            f"--teacher {given_teacher} does not exist, and --teacher-states {folder} are from {there['name']}; remove "
            "--teacher or give that teacher's folder"
        )
    layout = layout_of(train)
    here = states_header(config, teacher_hash, tokenizer, layout)
    check_header(
        folder, there, here, "create them again with the flags of this run, or give the flags that they were made with"
    )
    return replace(train, teacher_states=TeacherStates(folder, layout)), teacher_hash
