"""The model card of an exported model: how it was trained, how to use it, its scores, and software versions."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from yaml import YAMLError, safe_dump

from kid.config.keys import keys_affecting, unused_reason
from kid.config.methods import METHODS
from kid.config.run_config import RunConfig
from kid.config.templates import brief, is_template
from kid.data.prompts.template import prompt_text
from kid.data.schema import Column, Schema, Table
from kid.evaluation.failures import hardness_levels
from kid.evaluation.provenance import read_json
from kid.report.names import short_name
from kid.report.runs import read_metrics
from kid.report.score_files import SCORE_COLUMNS, accuracy_percent, read_scores
from kid.report.text import inline_code, inline_markdown, markdown_table, one_line

EXAMPLE_SCHEMA = Schema(
    "concert",
    (
        Table("singer", (Column("id", "", "integer", True, ("1", "2")), Column("country", "", "text", False, ("US",)))),
        Table("song", (Column("title", "", "text", False), Column("singer", "singer id", "integer", False))),
    ),
    (("song", "singer", "singer", "id"),),
)
CARD = Environment(
    loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, keep_trailing_newline=True
)


def example_prompt(name: str) -> str:
    """A prompt in a format, as in `kid.data.prompts.template.find_form`."""
    matches = {("singer", "country"): ["France"]}
    return prompt_text(name, EXAMPLE_SCHEMA, matches, "How many singers are from France?")


EXAMPLE_PROMPT = example_prompt("codes")


def public_name(name: str) -> tuple[str, bool]:
    """(name of a model, whether it is on the hub). For a local folder, the name omits the path, which is private."""
    path = Path(name)
    local = path.exists() or path.is_absolute() or name.startswith(".") or len(path.parts) > 2
    return (short_name(name), False) if local else (name, True)


def front_matter(config: RunConfig, student: str, base: Path | None) -> tuple[str, list[str]]:
    """(YAML front matter for the hub, remarks on what it lacks). The license is the one of the base model's card."""
    base_name, on_hub = public_name(student)
    tags = ["text-to-sql", config.method] + (["knowledge-distillation"] if config.teacher else [])
    readme, licence, missing = base and base / "README.md", {}, []
    if readme and readme.is_file():
        try:
            card_data = ModelCard(readme.read_text(encoding="utf-8"), ignore_metadata_errors=True).data.to_dict()
            licence = {key: card_data[key] for key in ("license", "license_name", "license_link") if key in card_data}
        except (ValueError, YAMLError):
            missing.append(f"{readme} cannot be read")
    if not licence:
        missing.append(f"the card has no license: the folder of {base_name} names none; add it before sharing")
    # --data may contain other questions in the benchmark's format.
    from_benchmark = config.benchmark in Path(config.data).name.lower()
    data = ModelCardData(
        base_model=base_name if on_hub else None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=tags,
        datasets=[config.benchmark] if from_benchmark else None,
        **licence,
    )
    return safe_dump(plain(data.to_dict()), sort_keys=False, allow_unicode=True), missing


def plain(value: object) -> object:
    """Metadata with every text on one line, so that a name or the base's card cannot end the front matter."""
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else one_line(str(value))


def settings_table(run: Path, config: RunConfig, step: int | None) -> str:
    """Table of the run's settings, and of the optimizer steps done: not all, if it was stopped or is exported early."""
    done = step or max((row["step"] for row in read_metrics(run / "metrics.jsonl")[0]), default=None)
    names = [name for name in (*keys_affecting("card"), *keys_affecting("variant")) if not unused_reason(name, config)]
    rows = [(name, brief(getattr(config, name))) for name in names if getattr(config, name) is not None]
    return markdown_table(["setting", "value"], [*rows, *([("optimizer steps done", done)] if done else [])], left=2)


def scores_table(folder: Path, config: RunConfig) -> tuple[str, list[str]]:
    """(table of EX and TS of each scored split, also by hardness; remarks on what was skipped)."""
    remarks: list[str] = []
    rows = []
    for column, score in read_scores(folder, config, remarks).items():
        subsets = {"all": score.verdicts}
        subsets |= {
            level: [v for v in score.verdicts if v["hardness"] == level] for level in hardness_levels(score.verdicts)
        }
        for level, verdicts in subsets.items():
            accuracies = (accuracy_percent(verdicts, kind) for kind in ("ex", "ts"))
            percents = ["-" if accuracy is None else f"{accuracy:.2f}" for accuracy in accuracies]
            rows.append([SCORE_COLUMNS[column], level, len(verdicts), *percents])
    if not rows:
        return "None yet.", [*remarks, f"the card has no scores: there are none in {folder}"]
    table = markdown_table(["split", "hardness", "questions", "EX %", "TS %"], rows, left=2)
    return f"In percent, measured before the export (KID's docs/evaluation.md has the rules).\n\n{table}", remarks


def versions_table(run: Path) -> str:
    environment = read_json(run / "environment.json")
    rows = [("python", environment.get("python", "-")), *(environment.get("packages") or {}).items()]
    rows += [("KID's commit", environment.get("git_commit") or "-"), ("ranks", environment.get("world_size", "-"))]
    return markdown_table(["trained with", "version"], rows, left=2)


def model_card(
    run: Path,
    config: RunConfig,
    step: int | None,
    base: Path | None,
    dtype: str,
    tokenizer_class: str,
    command: str,
    chat: bool = False,
) -> tuple[str, list[str]]:
    """(README.md of the export, remarks on what it lacks).

    Args:
        run: the run's directory.
        step: the exported step; None: the end of the run.
        base: the folder of the student's base model, if available.
        dtype: dtype of the weights.
        tokenizer_class: the class that loads the tokenizer as in training.
        command: the command line of this export.
        chat: whether prompts are turns in the tokenizer's chat template.
    """
    method, student = METHODS[config.method], public_name(config.student)[0]
    metadata, missing = front_matter(config, config.student, base)
    scores, remarks = scores_table(run / "scores" / (f"step-{step}" if step else ""), config)
    training = f"{' and '.join(method.sources)} outputs"
    if method.needs_teacher:
        training += f", {config.resolved_divergence} to the teacher {inline_code(public_name(config.teacher)[0])}"
    weights = (
        "A LoRA adapter merged into its base, summed in fp32 and rounded once" if config.lora_rank else "All weights"
    )
    card = CARD.get_template("card.md.jinja").render(
        metadata=metadata,
        title=inline_markdown(run.resolve().name),
        student=inline_code(student),
        config=config,
        training=training,
        data=inline_code(Path(config.data).name),
        weights=weights,
        dtype=dtype,
        tokenizer_class=tokenizer_class,
        # As Python writes it between triple quotes.
        prompt=example_prompt(config.prompt).replace("\\", r"\\").replace('"""', r"\"\"\""),
        fence="````" if "```" in example_prompt(config.prompt) else "```",
        own_template=is_template(config.prompt),
        chat=chat,
        scores=scores,
        settings=settings_table(run, config, step),
        versions=versions_table(run),
        command=inline_code(command),
    )
    return card, missing + remarks
