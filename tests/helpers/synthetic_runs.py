"""Run directories as training and scoring leave them, with made-up numbers; for tests of the report alone."""

from __future__ import annotations

import json
import random
from pathlib import Path

from kid.config.run_config import RunConfig, dump_config

H800 = "NVIDIA H800"
CLASSES = ("columns", "conditions", "joins", "tables")
SPIDER_LEVELS = ("easy", "medium", "hard", "extra")
LEVELS = {"spider": SPIDER_LEVELS, "bird": ("simple", "moderate", "challenging"), "jsonl": SPIDER_LEVELS}


def write_run(
    folder: Path,
    method: str = "sft",
    student: str = "org/Tiny-0.5B",
    *,
    seconds: float | None = 1.0,
    steps: int = 4,
    gpus: int = 8,
    ranks: int = 8,
    exposure: dict | None = None,
    **settings: object,
) -> Path:
    """config.yaml, environment.json and metrics.jsonl. seconds: of a step; None: no metrics yet."""
    folder.mkdir(parents=True)
    given = {"data": "data/spider", "output": str(folder), "max_steps": steps, **settings}
    (folder / "config.yaml").write_text(dump_config(RunConfig(method=method, student=student, **given)))
    hardware = {"machine": "x86_64", "cpu_count": 2, "gpus": [H800] * gpus}
    (folder / "environment.json").write_text(json.dumps({"hardware": hardware, "world_size": ranks}))
    if seconds:
        rows = [
            {"step": step, "epoch": step / steps, "loss": 2 / step, "seconds": seconds} for step in range(1, steps + 1)
        ]
        rows[0]["seconds"] *= 9  # the first step of a run is slow
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if exposure:
        write_exposure(folder, given.get("teacher", "runs/big-4b/adapter"), **exposure)
    return folder


def write_exposure(run: Path, teacher: str, **figures: object) -> None:
    """RUN/scores/exposure_bias.json as eval/exposure_bias.py writes it, its curves aside; `figures` overwrite."""
    content = {"teacher": teacher, "benchmark": "spider", "split": "dev", "evidence": None, "prompts": 100}
    content |= {"samples": 4, "ex_acc_err_16": 1.0, "interval_16": [0.0, 2.0], "ex_acc_err_full": 3.0} | figures
    (run / "scores").mkdir(exist_ok=True)
    (run / "scores" / "exposure_bias.json").write_text(json.dumps(content))


def write_score(
    run: Path,
    right: list[bool],
    name: str = "dev",
    *,
    benchmark: str = "spider",
    split: str = "dev",
    evidence: bool | None = None,
    ts: list[bool] | None = None,
    predictions: bool = False,
) -> Path:
    """RUN/scores/NAME.json as eval/score.py writes it, and on request RUN/predictions/NAME.sql."""
    levels, verdicts = LEVELS[benchmark], []
    for index, ex in enumerate(right):
        error = None if ex or index % 7 else "timeout"
        differs = [] if ex else sorted({CLASSES[index % 4], CLASSES[index % 3]})
        level = levels[index % len(levels)]
        verdict = {"index": index, "ex": ex, "ts": ts and ts[index], "error": error}
        verdicts.append(verdict | {"hardness": level, "differs": ["time-out"] if error else differs})
    hardness = {
        level: {"n": len(right[at :: len(levels)]), "ex": percent(right[at :: len(levels)]), "ts": None}
        for at, level in enumerate(levels)
    }
    content = {"benchmark": benchmark, "split": split, "evidence": evidence, "n": len(right), "ex": percent(right)}
    content |= {"ts": percent(ts) if ts else None, "hardness": hardness, "verdicts": verdicts}
    path = run / "scores" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    if predictions:
        sql = run / "predictions" / f"{name}.sql"
        sql.parent.mkdir(parents=True, exist_ok=True)
        sql.write_text("".join(f"SELECT {index} FROM {run.name}\n" for index in range(len(right))))
    return path


def percent(right: list[bool]) -> float:
    return round(100 * sum(right) / len(right), 2) if right else 0.0


def draw_right(rate: float, n: int, seed: object) -> list[bool]:
    """n verdicts, each right with probability `rate`."""
    generator = random.Random(str(seed))
    return [generator.random() < rate for _ in range(n)]


SPIDER_SPLITS = {"dev": 0.0, "dk": -0.12, "realistic": -0.10, "syn": -0.15}
# method -> (gain in EX over SFT, seconds of a step)
METHODS = {
    "fkd": (0.0, 2.1), "rkd": (0.04, 2.0), "f-distill": (0.01, 6.0), "imitkd": (0.02, 5.9), "gkd-fkl": (0.045, 10.2),
    "gkd-rkl": (0.06, 10.9), "gkd-jsd": (0.055, 10.8), "kid": (0.065, 2.0),
}  # fmt: skip
# student -> teacher -> methods, as the paper's tables have them
FAMILIES = {
    "qwen/Qwen1.5-0.5B": {
        "qwen1.5-1.8b": tuple(METHODS),
        "qwen1.5-4b": tuple(METHODS),
        "qwen1.5-7b": tuple(METHODS),
        "qwen1.5-32b": ("fkd", "rkd", "kid"),
    },
    "org/codegen-350M-multi": {"codegen-2b": ("rkd", "gkd-rkl", "kid")},
    "org/TinyLlama-1.1B": {"llama2-7b": ("rkd", "gkd-rkl", "kid")},
}
HOMES = {
    "spider": {},
    "bird-with": {"benchmark": "bird", "evidence": True},
    "bird-without": {"benchmark": "bird", "evidence": False},
}
ABLATIONS = [
    *({"mask_strategy": strategy} for strategy in ("uniform", "hard", "easy")),
    *({"mask_ratio": ratio} for ratio in (0.1, 0.3, 0.4, 0.5)),
    *({"rewrite": rewrite} for rewrite in ("mask-only", "none")),
]


def write_paper(
    folder: Path,
    n: int,
    seeds: tuple[int, ...] = (0,),
    families: dict = FAMILIES,
    homes: tuple[str, ...] = tuple(HOMES),
) -> list[Path]:
    """Runs of what the paper has: families, teachers, methods, ablations, BIRD both ways, saved steps; n questions."""
    runs: list[Path] = []

    def add(name: str, rate: float, seconds: float, method: str, student: str, **settings: object) -> Path:
        benchmark, evidence = settings.get("benchmark", "spider"), settings.get("evidence")
        run = write_run(folder / name, method, student, seconds=seconds, steps=40, **settings)
        splits = SPIDER_SPLITS if benchmark == "spider" else {"dev": -0.25 if evidence else -0.4}
        for split, change in splits.items():
            right = draw_right(rate + change, n, (split, name))
            ts = [ex and index % 50 != 0 for index, ex in enumerate(right)] if benchmark == "spider" else None
            write_score(run, right, split, benchmark=benchmark, split=split, evidence=evidence, ts=ts, predictions=True)
        for step in (10, 20, 30) if benchmark == "spider" else ():
            write_score(run, draw_right(rate * (0.4 + 0.015 * step), n, (step, name)), f"step-{step}/dev")
        runs.append(run)
        return run

    for student, teachers in families.items():
        short = student.split("/")[1].lower()
        for home in homes:
            for seed in seeds:
                add(f"{home}/{short}/sft-{seed}", 0.58, 1.0, "sft", student, seed=seed, **HOMES[home])
            for place, (teacher, methods) in enumerate(teachers.items()):
                largest = teacher.endswith("32b")  # the paper has it on Spider alone
                if largest and home != "spider":
                    continue
                add(f"{home}/{teacher}", 0.68 + 0.04 * place, 2.0 + place, "sft", f"org/{teacher}-base", **HOMES[home])
                given = {"teacher": str(folder / home / teacher / "adapter"), **HOMES[home]}
                pairs = f"{home}/{short}-from-{teacher}"
                for seed in seeds:
                    for method in methods:
                        gain, seconds = METHODS[method]
                        seconds += 0.2 * place
                        run = add(f"{pairs}/{method}-{seed}", 0.58 + gain, seconds, method, student, seed=seed, **given)
                        if home == "bird-with" and teacher == "qwen1.5-7b":
                            error = 30 - 400 * gain
                            figures = {"ex_acc_err_16": error, "interval_16": [error - 5, error + 6]}
                            figures |= {"benchmark": "bird", "evidence": True, "ex_acc_err_full": 2 * error}
                            write_exposure(run, given["teacher"], **figures)
                for ablation in ABLATIONS if home == "spider" and len(teachers) == 1 else ():
                    [(key, value)] = ablation.items()
                    add(f"{pairs}/kid-{key.split('_')[-1]}-{value}", 0.6, 2.0, "kid", student, **given, **ablation)
    return runs
