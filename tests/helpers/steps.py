"""Tiny models, samples and configurations for tests of one optimizer step."""

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from kid.config.methods import GOLD, IMPERFECT, METHODS, ON_POLICY, TEACHER_OUTPUTS
from kid.config.recipe import merge_config
from kid.data.batching import Dataset, Sample
from kid.data.order import micro_batches
from kid.models.prefix_cache import PrefixCache, forward_outputs
from kid.models.pretrained import TokenIds
from kid.models.response_model import ResponseModel
from kid.models.zero3 import eval_no_grad
from kid.training.imperfect import mask_by_rule
from kid.training.passes import PREDICTIONS, STUDENT, Y_HAT, MicroBatch, passes
from kid.training.step import HANDLERS

EOS, PAD, MASK, STEP = 1, 0, 2, 3
TOKENS = TokenIds(mask=MASK, eos=EOS, pad=PAD, count=38)  # of 40 vocabulary rows
# Outputs of many tokens, of one, of EOS alone; 7 samples do not fill two batches of 4.
SAMPLES = [
    Sample([5, 6, 7], [8, 9, 10, 11, 12, EOS]),
    Sample([5], [8, EOS]),
    Sample([9, 8, 7, 6, 5, 4], [EOS]),
    Sample([4, 5], [20, 21, 22, EOS]),
    Sample([4, 4, 4, 4], [13, 14, 13, 14, 13, 14, 13, EOS]),
    Sample([30, 31], [15, EOS]),
    Sample([17, 18, 19], [19, 18, 17, EOS]),
]
# What a teacher might have said: one cut off at the limit, one of EOS alone.
SAID = [[8, 9, EOS], [EOS], [3, 3, 3, 3, 3, 3], [20, EOS], [13, EOS], [16, 16, EOS], [19, 18, EOS]]
TEACHER_SAMPLES = [Sample(sample.prompt_ids, output) for sample, output in zip(SAMPLES, SAID, strict=True)]


def model(seed: int, hidden: int, vocabulary: int) -> ResponseModel:
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, tie_word_embeddings=True, initializer_range=0.3,
    )  # fmt: skip
    return ResponseModel(Qwen2ForCausalLM(config))


def configuration(method: str, **changes):
    flags = {"method": method, "student": "s", "teacher": "" if method == "sft" else "t", "data": "d", "output": "o"}
    if method == "f-distill":
        flags["teacher_outputs"] = "f.jsonl"
    sizes = {"batch_size": 4, "micro_batch_size": 2, "max_new_tokens": 9}
    return merge_config(None, {**flags, **sizes, "seed": 5, **changes})


def batches_of(config, step: int, samples=SAMPLES, share: bool | None = None, store=None, states=None):
    """All micro-batches of a step, as one rank would see them; whether they share prompts follows from the config."""
    if share is None:
        share = config.prefix and config.batching == "schema"
    data = Dataset(samples, ["db"] * len(samples), [], teacher_states=states)
    return micro_batches(data, config, step, 0, 1, PAD, share, store)


def imperfect(config, student, batch, step: int, tokens=TOKENS, prefix=None):
    """(y_hat, what of y was masked) of a micro-batch of kid, by the passes that come before the teacher's."""
    step_passes = passes(config, IMPERFECT)
    work = MicroBatch(config, student, None, batch, step, tokens)
    mask_by_rule(work, step_passes)
    for this in step_passes:
        if this.model == STUDENT and not this.needs_gradient:
            chosen = work.masked if PREDICTIONS in this.gives else None
            with eval_no_grad(student):
                states = forward_outputs(
                    config, student, batch, prefix or PrefixCache(), work.outputs[this.reads], chosen
                )
            HANDLERS[this.gives[0]](work, this, states)
    return work.outputs[Y_HAT], work.masked


CASES = [(method, source, {}) for method, row in METHODS.items() for source in row.sources] + [
    ("rkd", GOLD, {"reduction": "token", "temperature": 2.0, "kd_weight": 0.7, "mle_weight": 0.3}),
    ("kid", IMPERFECT, {"mask_ratio": 1.0}),
    ("kid", IMPERFECT, {"mask_ratio": 0.5, "reduction": "token"}),
    ("kid", IMPERFECT, {"mask_ratio": 0.5, "mle_on": "gold"}),
    ("kid", IMPERFECT, {"mask_ratio": 0.5, "rewrite": "mask-only"}),
    ("kid", IMPERFECT, {"mask_ratio": 0.5, "fill": "sample"}),
    ("kid", IMPERFECT, {"mask_ratio": 0.3, "mask_strategy": "hard"}),
    ("kid", IMPERFECT, {"mask_ratio": 0.3, "divergence": "skew-rkl", "skew_alpha": 0.3}),
    ("gkd-jsd", ON_POLICY, {"reduction": "token", "jsd_beta": 0.2}),
    ("gkd-rkl", ON_POLICY, {"divergence": "skew-fkl", "max_new_tokens": 1}),
    ("f-distill", TEACHER_OUTPUTS, {"reduction": "token", "temperature": 3.0}),
]
