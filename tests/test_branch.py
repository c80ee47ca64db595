"""Prompts run once change nothing but the cost: losses, gradients and outputs are those of whole sequences."""

import copy

import pytest
import torch
from deepspeed.utils.timer import SynchronizedWallClockTimer
from test_models import FAMILIES, TRANSFORMED
from test_trainer import (
    CASES,
    EOS,
    STEP,
    TOKENS,
    batches_of,
    configuration,
    model,
    one_rank,  # noqa: F401 (a fixture)
)
from transformers import AutoModelForCausalLM, GPT2Config, MambaConfig, MistralConfig, Qwen2Config

import kid.decoding
from kid.branch import draws_dropout, why_whole
from kid.data.batching import Sample
from kid.methods import GOLD, IMPERFECT, ON_POLICY, TEACHER
from kid.models import ResponseModel, add_lora
from kid.sources import imperfect, on_policy
from kid.step import ITS_OWN, STUDENT, micro_batch_loss, passes, student_prompts, train_step

# Prompts of two databases, of one of them alone, twice the same, of one token; outputs of one token and of many.
ONE, TWO = [11, 12, 13, 14, 15, 16, 17, 18], [11, 12, 23, 24, 25]
SAMPLES = [
    Sample([*ONE, 5, 6, 7], [8, 9, 10, 11, 12, EOS]),
    Sample([*ONE, 30], [8, EOS]),
    Sample([*ONE, 5, 9, 8, 7, 6], [EOS]),
    Sample([*TWO, 4, 5], [20, 21, 22, EOS]),
    Sample([*TWO, 4, 5], [13, 14, 13, 14, 13, 14, 13, EOS]),
    Sample([30], [15, EOS]),
    Sample([17, 18, 19], [19, 18, 17, EOS]),
]
SAID = [[8, 9, EOS], [EOS], [3, 3, 3, 3, 3, 3], [20, EOS], [13, EOS], [16, 16, EOS], [19, 18, EOS]]
TAUGHT = [Sample(sample.prompt_ids, output) for sample, output in zip(SAMPLES, SAID, strict=True)]
HOW = [{"batching": "random"}, {"batching": "schema"}]


class Engine(torch.nn.Module):
    """As much of a DeepSpeed engine as a step takes, around a bare module; gradients add up."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def __getattr__(self, name):
        return super().__getattr__(name) if name == "module" else getattr(super().__getattr__("module"), name)

    def forward(self, *arguments, **options):
        return self.module(*arguments, **options)

    def backward(self, loss, **_):
        loss.backward()

    def step(self):
        assert any(p.grad is not None for p in self.module.parameters())


def step_of(config, source, student, teacher, step=STEP, samples=None):
    """(sums, gradients by name) of a whole optimizer step."""
    student.zero_grad()
    batches = batches_of(config, step, samples or (TAUGHT if source == TEACHER else SAMPLES))
    sums = train_step(config, source, Engine(student), teacher, batches, step, TOKENS, SynchronizedWallClockTimer())
    return sums, {name: p.grad.clone() for name, p in student.named_parameters() if p.grad is not None}


def without_sharing(sums):
    return {name: value for name, value in sums.items() if name != "shared_tokens"}


def assert_same(found, expected, relative):
    """Sums, and gradients by their norms."""
    (sums, gradients), (plain_sums, plain) = found, expected
    assert without_sharing(sums) == pytest.approx(without_sharing(plain_sums), rel=relative, abs=relative / 100)
    assert gradients.keys() == plain.keys() and plain
    for name, gradient in plain.items():
        assert (gradients[name] - gradient).norm() <= relative * gradient.norm() + relative / 100, name


# The second step fills up with a row of weight 0.
@pytest.mark.parametrize(("step", "micro_batch_size"), [(STEP - 1, 2), (STEP, 4)])
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(("method", "source", "changes"), CASES)
def test_a_step_is_that_of_whole_sequences(method, source, changes, how, step, micro_batch_size):
    models = model(0, 16, 40), None if method == "sft" else model(1, 24, 44)
    how = {**changes, **how, "micro_batch_size": micro_batch_size}
    found = step_of(configuration(method, **how), source, *models, step)
    assert_same(found, step_of(configuration(method, **how, prefix="off"), source, *models, step), 1e-5)


SIZES = {"vocab_size": 40, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64}
ARCHITECTURES = {**FAMILIES, "gpt2": GPT2Config(**SIZES, embd_pdrop=0.0, attn_pdrop=0.0, resid_pdrop=0.0)}


def of_family(name: str, seed: int, lora: bool, dtype=torch.float32) -> ResponseModel:
    """Rotary positions, grouped heads, rotary of a part of the head, learned positions; adapters that do something."""
    torch.manual_seed(seed)
    config = copy.deepcopy(ARCHITECTURES[name])
    config.initializer_range = 0.3
    made = AutoModelForCausalLM.from_config(config)
    if lora:
        made = add_lora(made, 4, 8, 0.0, seed)
        for name_, weight in made.named_parameters():
            if "lora_B" in name_:
                torch.nn.init.normal_(weight, std=0.3)
    return ResponseModel(made.to(dtype))


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(("method", "source"), [("kid", IMPERFECT), ("rkd", GOLD), ("gkd-rkl", ON_POLICY)])
@pytest.mark.parametrize("family", ARCHITECTURES)
def test_adapters_of_every_family(family, method, source, how):
    student, teacher = of_family(family, 0, lora=True), of_family(family, 1, lora=False)
    how = {**how, "micro_batch_size": 4, "mask_ratio": 0.5}
    found = step_of(configuration(method, **how), source, student, teacher)
    assert all("lora" in name for name in found[1])
    assert_same(found, step_of(configuration(method, **how, prefix="off"), source, student, teacher), 1e-5)
    if family == "gpt2":  # which computes nothing in fp32 by itself
        student, teacher = student.double(), teacher.double()
        found = step_of(configuration(method, **how), source, student, teacher)
        assert_same(found, step_of(configuration(method, **how, prefix="off"), source, student, teacher), 1e-11)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(("method", "source"), [("rkd", GOLD), ("f-distill", TEACHER)])
def test_in_bf16_the_difference_is_rounding(method, source, how):
    """Both are as far from float64 as each other; outputs are given, so that no near tie in bf16 decides."""
    exact = [of_family("qwen", seed, lora=seed == 0, dtype=torch.bfloat16) for seed in (0, 1)]
    rounded = [ResponseModel(copy.deepcopy(each.model)) for each in exact]
    found = {}
    for name, models, prefix in (
        ("exact", [e.double() for e in exact], "off"),
        ("once", rounded, "on"),
        ("whole", rounded, "off"),
    ):
        config = configuration(method, **how, micro_batch_size=4, prefix=prefix)
        sums, gradients = step_of(config, source, *models)
        found[name] = sums["loss"], torch.cat([g.double().flatten() for g in gradients.values()])
    exact_loss, exact_gradient = found["exact"]
    errors = {
        name: (abs(loss - exact_loss) / exact_loss, ((gradient - exact_gradient).norm() / exact_gradient.norm()).item())
        for name, (loss, gradient) in found.items()
    }
    assert errors["once"][0] < 0.02 and errors["once"][1] < max(0.02, 2 * errors["whole"][1]), errors


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("micro_batch_size", [2, 4])
def test_log_probabilities_of_on_policy_tokens(how, micro_batch_size, monkeypatch):
    """Of every token the decoder draws, those of a forward over the whole unpadded sequence."""
    student, drawn = of_family("llama", 0, lora=True), []

    def recording(logits, *rest):
        tokens = draw(logits, *rest)
        drawn.append((logits.log_softmax(-1), tokens))
        return tokens

    draw = kid.decoding.draw_tokens
    monkeypatch.setattr(kid.decoding, "draw_tokens", recording)
    config = configuration("gkd-rkl", **how, micro_batch_size=micro_batch_size, max_new_tokens=40)
    batches = batches_of(config, 0, SAMPLES)
    stem = None
    if len(batches) == 1:
        stem = student_prompts(config, student, batches[0], passes(config, ON_POLICY), 0)[1]
        assert stem.width and not any(keys.requires_grad for keys in stem.keys)
    written = on_policy(config, student, batches, 0, TOKENS, stem)
    outputs = [(s.prompt_ids, s.completion_ids) for batch in written for s in batch.samples]
    checked = 0
    for place, (log_q, tokens) in enumerate(drawn):
        alive = [(prompt, output) for prompt, output in outputs if len(output) > place]
        assert len(alive) == len(tokens)  # the others have left
        for (prompt, output), row, token in zip(alive, log_q, tokens.tolist(), strict=True):
            assert output[place] == token
            logits = student.causal_lm(torch.tensor([[*prompt, *output[:place]]])).logits[0, -1, : TOKENS.count]
            torch.testing.assert_close(row, logits.log_softmax(-1), rtol=1e-5, atol=1e-5)
            checked += 1
    assert checked == sum(len(output) for _, output in outputs)
    assert len({len(output) for _, output in outputs}) > 1


def calls_of(config, source, student, teacher, samples=SAMPLES):
    """Who ran on how many rows and tokens, in the first micro-batch of a step without decoding."""
    calls = []
    for name, module in (("student", student), ("teacher", teacher)):
        module.register_forward_hook(lambda _, given, __, name=name: calls.append((name, *given[0].shape)))
    batch = batches_of(config, 0, samples)[0]
    loss, _ = micro_batch_loss(config, source, student, teacher, batch, 0, TOKENS, SynchronizedWallClockTimer())
    loss.backward()
    return calls, batch


@pytest.mark.parametrize(("method", "source", "changes"), CASES)
def test_the_list_of_passes_is_what_runs(method, source, changes):
    config = configuration(method, **changes, prefix="off")
    plan = passes(config, source)
    calls, _ = calls_of(config, source, model(0, 16, 40), model(1, 24, 44))
    assert [name for name, *_ in calls] == [run.model for run in plan if run.reads != ITS_OWN]
    assert (ITS_OWN in [run.reads for run in plan]) == (source == ON_POLICY)
    assert [run.model for run in plan if run.trains] == [STUDENT] * (1 + (config.mle_on == "gold"))
    assert plan[-1].trains


def test_only_output_tokens_run_after_the_prompts():
    """What is shared once, the rest of the prompts once, then outputs; an only pass over outputs runs the rest too."""
    samples = [Sample([*ONE, 5, 6, 7], [8, 9, EOS]), Sample([*ONE, 30, 31], [8, EOS])] * 2
    config = configuration("kid", batching="schema", micro_batch_size=4)
    calls, batch = calls_of(config, IMPERFECT, model(0, 16, 40), model(1, 24, 44), samples)
    assert batch.shared_width == len(ONE) and batch.shared_tokens == 3 * len(ONE)
    assert calls == [
        ("teacher", 1, 8), ("teacher", 4, 2), ("student", 1, 8), ("student", 4, 2), ("student", 4, 3),
        ("teacher", 4, 3), ("student", 4, 3),
    ]  # fmt: skip
    config = configuration("kid", micro_batch_size=4)
    calls, _ = calls_of(config, IMPERFECT, model(0, 16, 40), model(1, 24, 44), samples)
    assert calls == [("teacher", 4, 10), ("student", 4, 10), ("student", 4, 3), ("teacher", 4, 3), ("student", 4, 3)]
    config = configuration("rkd", batching="schema", micro_batch_size=4)
    calls, _ = calls_of(config, GOLD, model(0, 16, 40), model(1, 24, 44), samples)
    assert calls == [("teacher", 1, 8), ("teacher", 4, 2), ("student", 1, 8), ("teacher", 4, 3), ("student", 4, 5)]


@pytest.mark.parametrize("how", HOW)
def test_the_only_micro_batch_decodes_against_the_prompts_it_is_trained_on(how):
    config = configuration("gkd-rkl", **how, micro_batch_size=4)
    student, widths = model(0, 16, 40), []
    student.register_forward_hook(lambda _, given, __: widths.append((given[0].shape[1], torch.is_grad_enabled())))
    step_of(config, ON_POLICY, student, model(1, 24, 44), 0)
    shared = how["batching"] == "schema"
    assert [grad for _, grad in widths[: 1 + shared]] == [True] * (1 + shared)
    decoding = widths[1 + shared : -1]
    assert decoding and all(width == 1 and not grad for width, grad in decoding) and widths[-1][1]


@pytest.mark.parametrize("how", HOW)
def test_with_dropout_what_does_not_train_reads_prompts_in_evaluation(how):
    """y_hat is what the student in evaluation writes, and kid at ratio 0 is rkd to the last digit."""
    student, teacher = ResponseModel(add_lora(model(0, 16, 40).model, 4, 8, 0.4, 0)), model(1, 24, 44)
    for name, weight in student.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
    assert draws_dropout(student) and not draws_dropout(teacher)
    student.train()
    config = configuration("kid", **how, micro_batch_size=4, mask_ratio=1.0)
    (batch,) = batches_of(config, 0, SAMPLES)
    plan = passes(config, IMPERFECT)
    trained, looked = student_prompts(config, student, batch, plan, 0)
    state = torch.get_rng_state()
    written = imperfect(config, student, batch, 0, TOKENS, looked)[0]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(written, imperfect(config, student, batch, 0, TOKENS)[0])  # from whole sequences
    assert student.training and any(keys.requires_grad for keys in trained.keys) == bool(trained.width)
    again, _ = student_prompts(config, student, batch, plan, 0)
    other, _ = student_prompts(config, student, batch, plan, 1)
    for one, same, another in zip(trained.keys[1:], again.keys[1:], other.keys[1:], strict=True):
        assert torch.equal(one, same) and not torch.equal(one, another)
    vanilla = step_of(configuration("kid", **how, mask_ratio=0.0), GOLD, student, teacher)
    rkd = step_of(configuration("rkd", **how), GOLD, student, teacher)
    assert vanilla[0] == rkd[0] and all(torch.equal(vanilla[1][name], g) for name, g in rkd[1].items())


def test_which_models_take_whole_sequences():
    sizes = {
        "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 2, "pad_token_id": 0,
    }  # fmt: skip
    whole = {
        "mistral": MistralConfig(**sizes, sliding_window=4),
        "qwen with a window": Qwen2Config(**sizes, use_sliding_window=True, sliding_window=4, max_window_layers=1),
        "mamba": MambaConfig(vocab_size=40, hidden_size=16, num_hidden_layers=2, pad_token_id=0),
        **{name: TRANSFORMED[name] for name in ("gemma2", "recurrent_gemma", "falcon_h1")},
    }
    for name, config in whole.items():
        assert why_whole(AutoModelForCausalLM.from_config(config)), name
    for name, config in ({**ARCHITECTURES, "mistral without": MistralConfig(**sizes, sliding_window=None)}).items():
        assert why_whole(AutoModelForCausalLM.from_config(config)) is None, name


@pytest.mark.parametrize("who", ["student", "teacher"])
def test_a_model_with_a_sliding_window_is_right_beside_one_without(who):
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, use_sliding_window=True, sliding_window=4, max_window_layers=1, initializer_range=0.3,
    )  # fmt: skip
    sliding = ResponseModel(AutoModelForCausalLM.from_config(config))
    student, teacher = (sliding, model(1, 24, 40)) if who == "student" else (model(0, 16, 40), sliding)
    for method, source in (("kid", IMPERFECT), ("gkd-rkl", ON_POLICY)):
        how = {"batching": "schema", "micro_batch_size": 4}
        found = step_of(configuration(method, **how), source, student, teacher)
        assert_same(found, step_of(configuration(method, **how, prefix="off"), source, student, teacher), 1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(("method", "source"), [("kid", IMPERFECT), ("rkd", GOLD), ("gkd-rkl", ON_POLICY)])
def test_on_a_gpu_where_the_teachers_prompts_run_beside_the_students_work(method, source, how):
    models = model(0, 16, 40).cuda(), model(1, 24, 44).cuda()
    how = {**how, "micro_batch_size": 4}
    for step in range(3):
        found = step_of(configuration(method, **how), source, *models, step)
        assert_same(found, step_of(configuration(method, **how, prefix="off"), source, *models, step), 1e-4)
