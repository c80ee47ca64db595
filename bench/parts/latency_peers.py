"""The peers of bench/step_latency.py: transformers' Trainer for LoRA SFT, and trl's trainers for RKD and GKD.

They use our models, data, padding, dtype and attention, no gradient checkpointing, clipping at 1, and defaults for the
rest. For GKD on the student's own outputs, trl has GKDTrainer and, recommended there, DistillationTrainer.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast, Trainer, TrainingArguments

from kid.data.batching import Batch

COMMON = {
    "gradient_checkpointing": False, "report_to": [], "max_grad_norm": 1.0, "logging_strategy": "no",
    "save_strategy": "no", "learning_rate": 2e-4, "disable_tqdm": True,
}  # fmt: skip


def arguments_of(kind, device: str, batch: int, **more):
    """Training arguments that keep the models' dtype and save nothing."""
    folder = tempfile.mkdtemp(prefix="kid-bench-")
    # No autocast: the weights already have their dtype.
    return kind(folder, per_device_train_batch_size=batch, use_cpu=device == "cpu", bf16=False, **COMMON, **more)


def full_inputs(batch: Batch) -> dict[str, Tensor]:
    """Inputs for a causal language model's own loss: labels for output tokens, -100 elsewhere."""
    labels = torch.full_like(batch.input_ids, -100)
    labels[:, batch.prompt_width :] = batch.completion_ids.masked_fill(~batch.completion_mask, -100)
    return {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask, "labels": labels}


def one_step(trainer: Trainer, inputs: dict[str, Tensor] | list[dict], items: int) -> None:
    """Run one optimizer step as the trainer's loop does."""
    trainer.model_wrapped.train()
    trainer.training_step(trainer.model_wrapped, inputs, items)
    trainer.accelerator.clip_grad_norm_(trainer.model_wrapped.parameters(), trainer.args.max_grad_norm)
    trainer.optimizer.step()
    trainer.lr_scheduler.step()
    trainer.model_wrapped.zero_grad()


def ready(trainer: Trainer) -> Trainer:
    """Prepare the trainer's model and optimizer as its loop would."""
    trainer.create_optimizer_and_scheduler(num_training_steps=10_000)
    trainer.model_wrapped, trainer.optimizer = trainer.accelerator.prepare(trainer.model, trainer.optimizer)
    return trainer


def trainer_sft(student: PreTrainedModel, device: str, size: int) -> Callable[[Batch], None]:
    trainer = ready(Trainer(student, arguments_of(TrainingArguments, device, size)))
    return lambda batch: one_step(trainer, full_inputs(batch), len(batch.logit_positions))


def no_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer with only the special tokens that trl's trainers require; nothing is tokenised here."""
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), pad_token="<pad>", eos_token="<pad>")


def trl_distillation(
    student: PreTrainedModel, teacher: PreTrainedModel, device: str, size: int, new_tokens: int
) -> Callable[[Batch], None]:
    """A DistillationTrainer step with on-policy outputs and reverse KL (beta 1)."""
    from trl import DistillationConfig, DistillationTrainer

    arguments = arguments_of(
        DistillationConfig, device, size, beta=1.0, temperature=1.0, max_completion_length=new_tokens
    )
    trainer = ready(
        DistillationTrainer(
            student,
            teacher,
            arguments,
            train_dataset=Dataset.from_list([{"prompt": "x"}]),
            processing_class=no_tokenizer(),
        )
    )
    trainer.generation_config.eos_token_id = None  # all outputs have the same length, as in our steps
    trainer.current_gradient_accumulation_steps = 1  # normally set by the trainer's loop
    trainer._tokenize_prompts = lambda prompts: (prompts, None, {})

    def run(batch: Batch) -> None:
        prompts = [{"prompt": sample.prompt_ids} for sample in batch.samples]
        one_step(trainer, prompts, int(batch.completion_mask.sum()))

    return run


def trl_gkd(
    student: PreTrainedModel, teacher: PreTrainedModel, device: str, size: int, new_tokens: int, on_policy: bool
) -> Callable[[Batch], None]:
    """A GKDTrainer step with reverse KL (beta 1), on gold outputs (lmbda 0) or on-policy ones (lmbda 1).

    Raises:
        ValueError: the vocabularies differ in size, which GKDTrainer does not support.
    """
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    from trl.experimental.gkd import GKDConfig, GKDTrainer

    arguments = arguments_of(
        GKDConfig, device, size, lmbda=float(on_policy), beta=1.0, temperature=1.0, max_new_tokens=new_tokens
    )
    student.generation_config.eos_token_id = None  # all outputs have the same length, as in our steps
    trainer = ready(
        GKDTrainer(
            student,
            teacher,
            arguments,
            data_collator=lambda rows: rows,
            train_dataset=Dataset.from_list([{"ids": [0]}]),
            processing_class=no_tokenizer(),
        )
    )
    trainer.generation_config.eos_token_id = None

    def run(batch: Batch) -> None:
        inputs = full_inputs(batch)
        inputs["prompts"] = batch.input_ids[:, : batch.prompt_width]
        inputs["prompt_attention_mask"] = batch.attention_mask[:, : batch.prompt_width]
        one_step(trainer, inputs, batch.completion_mask.sum())

    return run
