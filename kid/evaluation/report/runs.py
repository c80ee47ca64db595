"""A finished run as the report sees it: its configuration, its pace, its scores, and what is odd about any of them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kid.config import RunConfig
from kid.errors import InputError
from kid.methods import METHODS
from kid.progress import progress_bar
from kid.recipe import merge_config

# (benchmark, split, with evidence: BIRD only) -> heading, in the order of the paper's Table 3.
Column = tuple[str, str, bool | None]
COLUMNS: dict[Column, str] = {
    ("spider", "dev", None): "Spider-dev",
    ("bird", "dev", False): "BIRD-dev w/o EK",
    ("bird", "dev", True): "BIRD-dev w/ EK",
    ("spider", "dk", None): "Spider-DK",
    ("spider", "realistic", None): "Spider-Real",
    ("spider", "syn", None): "Spider-Syn",
    ("spider", "seen", None): "minibench seen",
    ("jsonl", "dev", None): "JSONL-dev",
}
EXPORTS = ("adapter", "model")  # a run's result; adapters/step-N and models/step-N are those on the way
# What makes a method another one, beside its name. Of these, some concern KID's imperfect data alone.
IMPERFECT_KEYS = ("rewrite", "mask_strategy", "mask_ratio", "fill", "mask_token", "mle_on")
LOSS_KEYS = (
    "divergence", "jsd_beta", "skew_alpha", "temperature", "kd_weight", "mle_weight", "reduction",
    "sample_temperature", "top_p",
)  # fmt: skip
Variant = tuple[tuple[str, object], ...]


@dataclass(frozen=True)
class Score:
    """What eval/score.py found about a model's predictions on one split; EX and TS in percent, TS None where not run.

    hardness: level -> {"n", "ex", "ts"}, in the benchmark's order; empty where there are no levels.
    """

    path: Path
    column: Column
    n: int
    ex: float
    ts: float | None
    hardness: dict[str, dict]
    verdicts: list[dict]

    @property
    def predictions(self) -> Path:
        """The file that was scored: where a run keeps it, one SQL a line."""
        parts = list(self.path.parts)
        at = len(parts) - 1 - parts[::-1].index("scores")
        return Path(*parts[:at], "predictions", *parts[at + 1 :]).with_suffix(".sql")


@dataclass(frozen=True, eq=False)
class Run:
    """A run's directory, read.

    seconds: median of a step; None where metrics.jsonl says nothing.
    steps: those in metrics.jsonl. finished: whether they are all that were planned.
    scores: of the finished student, on splits of the benchmark it was trained on.
    curve: step -> the same for adapters/step-N.
    exposure: eval/exposure_bias.py's figures, or None.
    """

    folder: Path
    config: RunConfig
    environment: dict
    seconds: float | None
    steps: int
    finished: bool
    scores: dict[Column, Score]
    curve: dict[int, dict[Column, Score]]
    exposure: dict | None

    @property
    def home(self) -> tuple[str, bool | None]:
        """The benchmark the run was trained on, and for BIRD whether with evidence."""
        return self.config.benchmark, self.config.evidence if self.config.benchmark == "bird" else None

    @property
    def dev(self) -> Column:
        """The column of the run's own dev questions."""
        return self.config.benchmark, "dev", self.home[1]

    @property
    def variant(self) -> Variant:
        """What the method does otherwise than by default, as (key, value)."""
        keys = (*(IMPERFECT_KEYS if self.config.method == "kid" else ()), *LOSS_KEYS)
        defaults = RunConfig()
        changed = [(key, getattr(self.config, key)) for key in keys]
        own = METHODS[self.config.method].divergence
        return tuple(
            (key, value)
            for key, value in changed
            if value != getattr(defaults, key) and not (key == "divergence" and value == own)
        )

    @property
    def hardware(self) -> str:
        """GPUs (or cores) of the first node; empty where environment.json does not say."""
        known = self.environment.get("hardware")
        if not isinstance(known, dict):
            return ""
        gpus = known.get("gpus") or []
        if gpus:
            return " + ".join(f"{gpus.count(name)} x {name}" for name in dict.fromkeys(gpus))
        return f"{known.get('machine', 'CPU')}, {known.get('cpu_count', '?')} cores"

    @property
    def ranks(self) -> int | None:
        return self.environment.get("world_size")


def short_name(model: str) -> str:
    """What tells a model's path or hub id from others: its last part that is not a run's adapter/ or model/."""
    parts = [part for part in Path(model).parts if not part.startswith("step-")]
    parts = [part for part in parts if part.removesuffix("s") not in EXPORTS] or parts
    return parts[-1] if parts else ""


def load_runs(folders: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """Every run, and one line for each thing in them that cannot be used as it is.

    Raises:
        InputError: a folder is no run's directory, or its config.yaml cannot be read.
    """
    for folder in folders:  # before the bar
        if not folder.is_dir():
            raise InputError(f"run {folder} does not exist; give the directory that --output named in training")
        if not (folder / "config.yaml").is_file():
            raise InputError(f"{folder} holds no config.yaml, so it is no run's directory; give those, one by one")
    runs, remarks, seen = [], [], set()
    with progress_bar("reading", "run", len(folders)) as bar:
        for folder in folders:
            if folder.resolve() in seen:
                remarks.append(f"{folder} was given twice; it counts once")
            else:
                seen.add(folder.resolve())
                runs.append(load_run(folder, remarks))
            bar.update()
    return runs, remarks


def load_run(folder: Path, remarks: list[str]) -> Run:
    """One run; what cannot be used in it is added to `remarks`. Raises InputError where its config.yaml is wrong."""
    config = merge_config(folder / "config.yaml", {})
    rows, damaged = read_metrics(folder / "metrics.jsonl")
    if damaged:
        remarks.append(f"{folder / 'metrics.jsonl'}: {damaged} damaged lines were left out")
    last = rows[-1] if rows else {}
    steps = last.get("step", 0)
    finished = bool(rows) and (steps == config.max_steps or last.get("epoch", 0) >= config.epochs - 1e-9)
    if not finished:
        remarks.append(f"{folder}: not finished, {steps} steps so far; its numbers are those of now")
    environment = read_object(folder / "environment.json", remarks)
    if environment is None:
        remarks.append(f"{folder}: no environment.json, so its hardware is unknown and its latency is left out")
    curve = {}
    for place in sorted((folder / "scores").glob("step-*")):
        if place.name[5:].isdigit():
            curve[int(place.name[5:])] = read_scores(place, config, remarks)
    exposure = read_object(folder / "scores" / "exposure_bias.json", remarks)
    if exposure is not None and not is_number(exposure.get("ex_acc_err_16")):
        remarks.append(f"{folder / 'scores' / 'exposure_bias.json'} has no ex_acc_err_16; it was left out")
        exposure = None
    return Run(
        folder,
        config,
        environment or {},
        statistics.median(row["seconds"] for row in rows) if rows else None,
        steps,
        finished,
        read_scores(folder / "scores", config, remarks),
        dict(sorted(curve.items())),
        exposure,
    )


def read_metrics(path: Path) -> tuple[list[dict], int]:
    """The lines of a metrics.jsonl that hold a step and its seconds, and the number of those that do not.

    A run still going, or one that was killed, may end in half a line.
    """
    rows, damaged = [], 0
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict) and is_number(row.get("step")) and is_number(row.get("seconds")):
            rows.append(row)
        else:
            damaged += 1
    return rows, damaged


def read_object(path: Path, remarks: list[str]) -> dict | None:
    """A file's JSON object; None where there is no file, or, with a remark, where it holds something else."""
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        remarks.append(f"{path} cannot be read ({error}); it was left out, make it again")
        return None
    if not isinstance(value, dict):
        remarks.append(f"{path} is not a JSON object; it was left out, make it again")
        return None
    return value


def read_scores(folder: Path, config: RunConfig, remarks: list[str]) -> dict[Column, Score]:
    """The scores in a folder by column; with a remark, those that cannot be used are left out."""
    scores: dict[Column, Score] = {}
    for path in sorted(folder.glob("*.json")):
        content = read_object(path, remarks) if path.name != "exposure_bias.json" else None
        if content is None:
            continue
        score, reason = as_score(path, content, config)
        if score and score.column in scores:
            reason = f"{scores[score.column].path.name} is of the same questions and comes first by name"
        if reason:
            remarks.append(f"{path} was left out: {reason}")
        else:
            scores[score.column] = score
    return scores


def as_score(path: Path, content: dict, config: RunConfig) -> tuple[Score | None, str]:
    """(score, "") or (None, why it cannot be used)."""
    verdicts = content.get("verdicts")
    whole = isinstance(verdicts, list) and all(
        isinstance(v, dict) and isinstance(v.get("index"), int) and isinstance(v.get("ex"), bool) for v in verdicts
    )
    if not (whole and verdicts and content.get("n") == len(verdicts) and is_number(content.get("ex"))):
        return None, "it is not what eval/score.py writes; score the predictions again"
    benchmark, split = content.get("benchmark"), content.get("split")
    # Scores from before the field was there are taken to be made as the run was trained.
    evidence = content.get("evidence")
    if benchmark != "bird":
        evidence = None
    elif not isinstance(evidence, bool):
        evidence = config.evidence
    column = (benchmark, split, evidence)
    if column not in COLUMNS:
        return None, f"the report has no column for {benchmark} {split}"
    if benchmark != config.benchmark:
        return None, f"scored on {benchmark}, trained on {config.benchmark}"
    if evidence is not None and evidence != config.evidence:
        words = {True: "with", False: "without"}
        return None, f"scored {words[evidence]} evidence, trained {words[config.evidence]}"
    ts = content.get("ts") if is_number(content.get("ts")) else None
    unsaid = {"error": None, "hardness": None, "differs": []}  # in scores from before these were noted
    verdicts = [unsaid | verdict for verdict in verdicts]
    hardness = content.get("hardness")
    hardness = hardness if isinstance(hardness, dict) else {}
    return Score(path, column, content["n"], content["ex"], ts, hardness, verdicts), ""


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
