"""Prompts run once change nothing but the cost: losses, gradients and outputs are those of whole sequences."""

import copy
from dataclasses import replace

import pytest
import torch
from deepspeed.utils.timer import SynchronizedWallClockTimer
from helpers.shared_prompts import ARCHITECTURES, HOW, ONE, SAMPLES, TAUGHT, assert_same, of_family, step_of
from helpers.steps import CASES, EOS, STEP, TOKENS, batches_of, configuration, imperfect, model
from helpers.tiny_configs import TRANSFORMED
from transformers import (
    AutoModelForCausalLM,
    GPTNeoConfig,
    MambaConfig,
    MistralConfig,
    MptConfig,
    Phi3Config,
    Qwen2Config,
)

import kid.models.decoding
import kid.models.prefix_cache
import kid.training.imperfect
import kid.training.step
from kid.config.methods import GOLD, IMPERFECT, METHODS, ON_POLICY
from kid.data.batching import Sample, collate
from kid.errors import InputError
from kid.models.loading import add_lora
from kid.models.prefix_cache import encode_prompts, encode_student_prompts, with_completion
from kid.models.pretrained import TokenIds
from kid.models.response_model import ResponseModel
from kid.randomness import DECODE, draw_tokens, sample_uniforms
from kid.training.passes import OWN_TOKENS, STUDENT, count_passes, passes
from kid.training.sources import on_policy
from kid.training.step import micro_batch_loss
from kid.training.trainer import can_share_prompts

pytestmark = pytest.mark.usefixtures("one_rank")


# The second step fills up with a row of weight 0.
@pytest.mark.parametrize(("step", "micro_batch_size"), [(STEP - 1, 2), (STEP, 4)])
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(("method", "source", "changes"), CASES)
def test_a_step_is_that_of_whole_sequences(method, source, changes, how, step, micro_batch_size):
    models = model(0, 16, 40), None if method == "sft" else model(1, 24, 44)
    how = {**changes, **how, "micro_batch_size": micro_batch_size}
    found = step_of(configuration(method, **how), source, *models, step)
    assert_same(found, step_of(configuration(method, **how, prefix="off"), source, *models, step), 1e-5)


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(
    ("method", "source"), [(method, source) for method, row in METHODS.items() for source in row.sources]
)
def test_in_bf16_the_difference_is_rounding(method, source, how, monkeypatch):
    """Both ways are about as far from float64. Outputs are given, so that no near tie in bf16 decides."""

    def predicted(config, student, states, *_):
        return (torch.arange(len(states)) * 7 + 3) % 38

    def decoded(config, student, batches, *_):
        return batches_of(config, STEP, TAUGHT, batches[0].shared_width > 0)

    monkeypatch.setattr(kid.training.imperfect, "predictions", predicted)
    monkeypatch.setattr(kid.training.step, "on_policy", decoded)
    rounded = [of_family("qwen", seed, lora=seed == 0, dtype=torch.bfloat16) for seed in (0, 1)]
    exact = [ResponseModel(copy.deepcopy(each.model)).double() for each in rounded]
    found = {}
    for name, models, prefix in (("exact", exact, "off"), ("once", rounded, "on"), ("whole", rounded, "off")):
        student, teacher = models if method != "sft" else (models[0], None)
        config = configuration(method, **how, micro_batch_size=4, prefix=prefix)
        sums, gradients = step_of(config, source, student, teacher)
        found[name] = sums["loss"], torch.cat([g.double().flatten() for g in gradients.values()])
    exact_loss, exact_gradient = found["exact"]
    errors = {
        name: (abs(loss - exact_loss) / exact_loss, ((gradient - exact_gradient).norm() / exact_gradient.norm()).item())
        for name, (loss, gradient) in found.items()
    }
    assert errors["once"][0] < 0.02 and errors["once"][1] < max(0.02, 2 * errors["whole"][1]), errors


def ending_early(config, student, batches) -> TokenIds:
    """With an end that one output comes to at its third token, others later or never."""
    never = replace(TOKENS, eos=-1)
    outputs = [s.completion_ids for batch in on_policy(config, student, batches, 0, never) for s in batch.samples if s]
    return replace(TOKENS, eos=next(ids[2] for ids in outputs if any(ids[2] not in other for other in outputs)))


@pytest.mark.slow
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(("family", "micro_batch_size"), [("llama", 2), *((family, 4) for family in ARCHITECTURES)])
def test_log_probabilities_of_on_policy_tokens(family, how, micro_batch_size, monkeypatch):
    """Of every token the decoder draws, those of a forward over the whole unpadded sequence."""
    student, drawn = of_family(family, 0, lora=True), []

    def recording(logits, *rest):
        ids = draw(logits, *rest)
        drawn.append((logits.log_softmax(-1), ids))
        return ids

    draw = kid.models.decoding.draw_tokens
    monkeypatch.setattr(kid.models.decoding, "draw_tokens", recording)
    config = configuration("gkd-rkl", **how, micro_batch_size=micro_batch_size, max_new_tokens=20)
    batches = batches_of(config, 0, SAMPLES)
    tokens = ending_early(config, student, batches)
    drawn.clear()
    prefix = None
    if len(batches) == 1:
        prefix = encode_student_prompts(config, student, batches[0], 0, 1, 1)[1]
        assert prefix.width and not any(keys.requires_grad for keys in prefix.keys)
    written = on_policy(config, student, batches, 0, tokens, prefix)
    outputs = [(s.prompt_ids, s.completion_ids) for batch in written for s in batch.samples]
    checked = 0
    for place, (log_q, ids) in enumerate(drawn):
        alive = [(prompt, output) for prompt, output in outputs if len(output) > place]
        assert len(alive) == len(ids)  # the others have left
        for (prompt, output), row, token in zip(alive, log_q, ids.tolist(), strict=True):
            assert output[place] == token
            logits = student.causal_lm(torch.tensor([[*prompt, *output[:place]]])).logits[0, -1, : tokens.count]
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
    step_passes = passes(config, source)
    calls, _ = calls_of(config, source, model(0, 16, 40), model(1, 24, 44))
    assert [name for name, *_ in calls] == [run.model for run in step_passes if run.reads != OWN_TOKENS]
    assert (OWN_TOKENS in [run.reads for run in step_passes]) == (source == ON_POLICY)
    assert [run.model for run in step_passes if run.needs_gradient] == [STUDENT] * (1 + (config.mle_on == "gold"))
    assert step_passes[-1].needs_gradient


def test_only_output_tokens_run_after_the_prompts():
    """What is shared once, the rest of the prompts once, then outputs; an only pass over outputs runs the rest too."""
    samples = [Sample([*ONE, 5, 6, 7], [8, 9, EOS]), Sample([*ONE, 30, 31], [8, EOS])] * 2
    config = configuration("kid", batching="schema", micro_batch_size=4)
    calls, batch = calls_of(config, IMPERFECT, model(0, 16, 40), model(1, 24, 44), samples)
    assert batch.shared_width == len(ONE) and batch.shared_tokens == 3 * len(ONE)
    assert calls == [
        ("teacher", 1, 8), ("student", 1, 8), ("student", 4, 2), ("student", 4, 3), ("teacher", 4, 5), ("student", 4, 3)
    ]  # fmt: skip
    config = configuration("kid", micro_batch_size=4)
    calls, _ = calls_of(config, IMPERFECT, model(0, 16, 40), model(1, 24, 44), samples)
    assert calls == [("teacher", 4, 10), ("student", 4, 10), ("student", 4, 3), ("teacher", 4, 3), ("student", 4, 3)]
    config = configuration("rkd", batching="schema", micro_batch_size=4)
    calls, _ = calls_of(config, GOLD, model(0, 16, 40), model(1, 24, 44), samples)
    assert calls == [("teacher", 1, 8), ("student", 1, 8), ("teacher", 4, 5), ("student", 4, 5)]


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
    assert student.draws_dropout and not teacher.draws_dropout
    student.train()
    config = configuration("kid", **how, micro_batch_size=4, mask_ratio=1.0)
    (batch,) = batches_of(config, 0, SAMPLES)
    step_passes = passes(config, IMPERFECT)
    trained, eval_prefix = encode_student_prompts(config, student, batch, 0, *count_passes(step_passes))
    state = torch.get_rng_state()
    written = imperfect(config, student, batch, 0, TOKENS, eval_prefix)[0]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(written, imperfect(config, student, batch, 0, TOKENS)[0])  # from whole sequences
    assert student.training and any(keys.requires_grad for keys in trained.keys) == bool(trained.width)
    again, _ = encode_student_prompts(config, student, batch, 0, *count_passes(step_passes))
    other, _ = encode_student_prompts(config, student, batch, 1, *count_passes(step_passes))
    for one, same, another in zip(trained.keys[1:], again.keys[1:], other.keys[1:], strict=True):
        assert torch.equal(one, same) and not torch.equal(one, another)
    vanilla = step_of(configuration("kid", **how, mask_ratio=0.0), GOLD, student, teacher)
    rkd = step_of(configuration("rkd", **how), GOLD, student, teacher)
    assert vanilla[0] == rkd[0] and all(torch.equal(vanilla[1][name], g) for name, g in rkd[1].items())


TINY = {
    "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "pad_token_id": 0, "initializer_range": 0.3,
}  # fmt: skip
LONGROPE = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
WHOLE = {
    "qwen with windows": Qwen2Config(**TINY, use_sliding_window=True, sliding_window=4, max_window_layers=0),
    "mistral": MistralConfig(**TINY, sliding_window=4),
    "gpt_neo": GPTNeoConfig(
        vocab_size=40, hidden_size=16, num_layers=2, num_heads=2, attention_types=[[["global", "local"], 1]],
        window_size=4, attention_dropout=0.0, embed_dropout=0.0, resid_dropout=0.0, initializer_range=0.3,
    ),
    "mpt": MptConfig(vocab_size=40, d_model=16, n_heads=2, n_layers=2, max_seq_len=64, initializer_range=0.3),
    "phi3 with longrope": Phi3Config(**TINY, rope_parameters=LONGROPE, original_max_position_embeddings=12,
                                     max_position_embeddings=64),
    "recurrent_gemma": TRANSFORMED["recurrent_gemma"],
    "falcon_h1": TRANSFORMED["falcon_h1"],
    "gemma2": TRANSFORMED["gemma2"],
    "mamba": MambaConfig(vocab_size=40, hidden_size=16, num_hidden_layers=2, pad_token_id=0),
}  # fmt: skip


def whole_model(name: str) -> ResponseModel:
    torch.manual_seed(0)
    return ResponseModel(AutoModelForCausalLM.from_config(copy.deepcopy(WHOLE[name])))


def test_which_models_take_whole_sequences():
    for name in WHOLE:
        assert whole_model(name).prefix_unsupported_reason, name
        assert whole_model(name).decodes == (name != "mamba")
    for name, config in {**ARCHITECTURES, "mistral": MistralConfig(**TINY, sliding_window=None)}.items():
        assert ResponseModel(AutoModelForCausalLM.from_config(config)).prefix_unsupported_reason is None, name


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE)
def test_such_a_model_trains_and_teaches_as_with_prefix_off(name):
    """Beside one that could share: windows, recurrences and ALiBi would count the columns between a prompt's parts."""
    how = {"batching": "schema", "micro_batch_size": 4}
    for step in (0, STEP):
        for models in ((whole_model(name), model(1, 24, 40)), (model(0, 16, 40), whole_model(name))):
            found = step_of(configuration("kid", **how), IMPERFECT, *models, step)
            assert_same(found, step_of(configuration("kid", **how, prefix="off"), IMPERFECT, *models, step), 1e-5)
            assert found[0]["shared_tokens"] == 0


# What longrope computes of a token changes with the length of what is run; mamba is refused.
@pytest.mark.parametrize("name", [name for name in WHOLE if name not in ("mamba", "phi3 with longrope")])
def test_such_a_model_decodes_what_it_decodes_alone(name):
    """Also after other rows have ended."""
    student, config = whole_model(name).eval(), configuration("gkd-rkl", micro_batch_size=4, max_new_tokens=12)
    samples = SAMPLES[:3] + SAMPLES[6:]
    (batch,) = batches_of(config, 0, samples, share=False)
    (together,) = on_policy(config, student, [batch], 0, ending_early(config, student, [batch]))
    assert len(set(together.lengths)) > 1
    for row, sample in enumerate(batch.samples):
        ids, (uniforms,) = list(sample.prompt_ids), [sample_uniforms(5, 0, [row], DECODE, [12])]
        for number in uniforms[: together.lengths[row]]:
            logits = student.causal_lm(torch.tensor([ids])).logits[0, -1:, : TOKENS.count]
            ids.append(draw_tokens(logits, number[None], 1.0, 1.0).item())
        assert together.completion_ids[row, : together.lengths[row]].tolist() == ids[len(sample.prompt_ids) :]


def test_a_student_that_cannot_decode_is_refused():
    with pytest.raises(InputError, match="cannot decode with a KV cache"):
        can_share_prompts(configuration("gkd-rkl"), whole_model("mamba"), model(1, 24, 40))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(("method", "source"), [("kid", IMPERFECT), ("rkd", GOLD), ("gkd-rkl", ON_POLICY)])
def test_on_a_gpu_where_the_teachers_prompts_run_beside_the_students_work(method, source, how, monkeypatch):
    models = model(0, 16, 40).cuda(), model(1, 24, 44).cuda()

    def late(config, model, *arguments, **options):
        """The teacher's are ready long after all that could be done without them."""
        if model is models[1]:
            torch.cuda._sleep(100_000_000)
        return encode_prompts(config, model, *arguments, **options)

    monkeypatch.setattr(kid.models.prefix_cache, "encode_prompts", late)
    how = {**how, "micro_batch_size": 4}
    for step in range(3):
        found = step_of(configuration(method, **how), source, *models, step)
        assert_same(found, step_of(configuration(method, **how, prefix="off"), source, *models, step), 1e-4)


def test_with_completion_changes_output_tokens_and_no_padding():
    batch = collate([Sample([11, 12], [21, 1]), Sample([14], [22, 23, 1])], [1.0, 1.0], [0, 1], pad_token_id=9)
    ids = with_completion(batch, torch.full_like(batch.completion_ids, 50))
    assert ids.tolist() == [[11, 12, 50, 50, 9], [9, 14, 50, 50, 50]]
