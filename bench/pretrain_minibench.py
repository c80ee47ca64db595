"""Pretrain the tiny models of the demo on an endless stream of new questions: `python bench/pretrain_minibench.py`.

The student base is trained on the patterns with one SELECT on one table, the teacher on all patterns. No training
database is in any split of minibench. Each model uses one core; an interrupted pretraining resumes where it stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM, PreTrainedModel

from kid.config.run_config import RunConfig
from kid.errors import OneLineParser, run_script
from kid.files import write_atomically
from kid.minibench.patterns import PATTERNS, Pattern
from kid.minibench.pretraining import FreshBatches, pretraining_texts
from kid.minibench.tiny_models import MODELS, tiny_config, train_tokenizer
from kid.models.prefix_cache import encode_prompts, forward_outputs
from kid.models.response_model import ResponseModel
from kid.progress import progress_bar

VOCABULARY = 2048
SMALL, LARGE = {"hidden": 96, "layers": 2, "heads": 4}, {"hidden": 128, "layers": 4, "heads": 4}
SIMPLE = [pattern for pattern in PATTERNS if pattern.is_simple]


@dataclass(frozen=True)
class Pretraining:
    """Settings of a pretraining. rounds: steps and peak learning rate of each round of the schedule."""

    size: dict[str, int]
    patterns: Sequence[Pattern]
    rounds: list[tuple[int, float]]


# The first two come with the project; the others are alternative bases for the ablations.
PLANS = {
    "student": Pretraining(SMALL, SIMPLE, [(1500, 3e-3)]),
    "teacher": Pretraining(LARGE, PATTERNS, [(1800, 3e-3), (1800, 3e-3)]),
    "weaker-student": Pretraining(SMALL, PATTERNS, [(700, 3e-3)]),
    "stronger-student": Pretraining(SMALL, PATTERNS, [(1800, 3e-3)]),
}
DATABASES, QUESTIONS = 8, 8  # per batch: databases, and questions on each
WARMUP = 100
LOGGED = 50  # steps between two lines of the log, and between two states to resume from
UNFINISHED, LOG = "unfinished.pt", "log.jsonl"
FIRST = 5  # losses of this many steps are recorded, to check that a pretraining is reproduced


def learning_rate(step: int, rounds: list[tuple[int, float]]) -> float:
    """In each round, linear warm-up, then a half cosine down to a tenth of the peak."""
    for steps, highest in rounds:
        if step < steps:
            cosine = (1 + math.cos(math.pi * step / steps)) / 2
            return highest * min(1.0, (step + 1) / WARMUP) * (0.1 + 0.9 * cosine)
        step -= steps
    raise ValueError(f"{step} steps after the last round")


def total_steps(name: str) -> int:
    return sum(steps for steps, _ in PLANS[name].rounds)


def train(
    name: str, tokenizer, seed: int, until: int | None = None, folder: Path | None = None
) -> tuple[PreTrainedModel, list[float]]:
    """Train one model of `PLANS` from random weights.

    Args:
        seed: random seed of the weights and the questions.
        until: stop after this many steps.
        folder: for the log and the state to resume from; if it has a state, training resumes from it.

    Returns:
        The model, and the losses of the steps of this call, in nats per token.
    """
    torch.manual_seed(seed)
    vocabulary = -(-len(tokenizer) // 64) * 64
    model = AutoModelForCausalLM.from_config(tiny_config("qwen2", tokenizer, vocabulary, **PLANS[name].size))
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.01)
    done, losses, began, until = 0, [], time.time(), until or total_steps(name)
    if folder and (folder / UNFINISHED).exists():
        state = torch.load(folder / UNFINISHED, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        done = state["done"]
    student, config = ResponseModel(model), RunConfig(fused=False)
    fresh = FreshBatches(tokenizer, PLANS[name].patterns, DATABASES, QUESTIONS, f"pretraining-{name}-{seed}", done)
    batches = iter(DataLoader(fresh, batch_size=None, num_workers=1, prefetch_factor=8))
    with progress_bar(f"pretraining: {name}", "step", until) as bar:
        bar.update(done)
        for step in range(done, until):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, PLANS[name].rounds)
            batch = next(batches)
            prefix = encode_prompts(config, student, batch, separately=False)
            logits = forward_outputs(config, student, batch, prefix, batch.completion_ids)
            gold = batch.completion_ids[batch.completion_mask]
            loss = (torch.nn.functional.cross_entropy(logits, gold, reduction="none") * batch.row_weights).sum()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
            bar.update()
            if folder and (step + 1) % LOGGED == 0:
                line = {"step": step + 1, "loss": sum(losses[-LOGGED:]) / LOGGED, "seconds": time.time() - began}
                with (folder / LOG).open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
                state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "done": step + 1}
                torch.save(state, folder / f"{UNFINISHED}.partial")
                (folder / f"{UNFINISHED}.partial").rename(folder / UNFINISHED)
    return model, losses


def write_record(folder: Path, name: str, seed: int, losses: list[float]) -> None:
    """Record how a model was pretrained, next to its folder. losses: of the first steps."""
    path = folder.parent / "pretraining.json"
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    record[name] = {"steps": total_steps(name), "seed": seed, "first_losses": losses}
    write_atomically(path, json.dumps(record, indent=1) + "\n")


def main() -> None:
    parser = OneLineParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=PLANS, help="the model to train")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder to write it to [kid/minibench/models/MODEL]")
    parser.add_argument("--seed", type=int, default=0, help="random seed [0]")
    arguments = parser.parse_args()
    output = arguments.output or MODELS / arguments.model
    torch.set_num_threads(1)
    output.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(pretraining_texts(), VOCABULARY)
    tokenizer.save_pretrained(output)
    if not (output / UNFINISHED).exists():
        _, losses = train(arguments.model, tokenizer, arguments.seed, until=FIRST)
        write_record(output, arguments.model, arguments.seed, losses)
    model, losses = train(arguments.model, tokenizer, arguments.seed, folder=output)
    model.save_pretrained(output)
    for name in (UNFINISHED, LOG):
        (output / name).unlink(missing_ok=True)
    print(f"{output}: {model.num_parameters()} parameters, loss {sum(losses[-LOGGED:]) / LOGGED:.3f}")


if __name__ == "__main__":
    run_script(main)
