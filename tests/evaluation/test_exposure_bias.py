"""ExAccErr by hand, against plain float64 loops, and from models whose distributions are tables."""

import json
import math
import runpy
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.launcher import ROOT
from transformers import AutoModelForCausalLM, CodeGenConfig, GPT2Config, LlamaConfig, Qwen2Config

from kid.config.run_config import RunConfig
from kid.data.prepare import prepare
from kid.errors import InputError
from kid.evaluation.exposure_bias import (
    ExposureBias,
    excess_accumulated_error,
    measure_exposure_bias,
    plot_exposure_bias,
    sample_outputs,
    sampled_errors,
    step_errors,
)
from kid.evaluation.prediction import load_model
from kid.models.pretrained import load_tokenizer

NAN = np.nan
PROMPTS = [[5, 6, 7, 8, 9], [4], [9, 9, 3], [30, 2, 30, 2]]
OUTPUTS = [[7, 8, 1], [1], [3, 3, 9, 2, 1], [12, 39]]
FLAGS = ["--benchmark", "spider", "--questions-limit", "3", "--samples", "2", "--max-completion-length", "5"]


class Ids:
    """All that sampling asks of a tokenizer."""

    eos_token_id, pad_token_id = 1, 0


def table_model(table: list[list[float]]):
    """A model whose next token depends on the last one alone: row i of `table` holds the probabilities after i."""
    size = len(table)
    config = LlamaConfig(
        vocab_size=size, hidden_size=size, num_hidden_layers=0, num_attention_heads=1, tie_word_embeddings=False,
        rms_norm_eps=0.0,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(torch.eye(size))
        logits = torch.tensor(table).log().clamp(min=-60)
        model.get_output_embeddings().weight.copy_(logits.T / size**0.5)  # the norm makes sqrt(size) of a 1
    return model


def both(student, teacher, prompts, **settings):
    """Errors along the student's outputs and along the teacher's."""
    settings = {"samples": 1, "limit": 4, "batch_size": 256, "seed": 0, **settings}
    indices = range(len(prompts))
    return [sampled_errors(who, student, teacher, Ids, prompts, indices, **settings) for who in (student, teacher)]


def random_errors(generator, shape, ends):
    """Errors of outputs of random length, at least 1."""
    errors = generator.exponential(size=shape)
    if ends:
        errors[np.arange(shape[-1]) >= generator.integers(1, shape[-1] + 1, size=shape[:-1])[..., None]] = NAN
    return errors


def test_the_formula_by_hand():
    student = np.array([[[1, 2, NAN]], [[3, NAN, NAN]]])
    oracle = np.array([[[1, 2, 4]], [[1, NAN, NAN]]])
    # l = 1: R = (1 + 3) / 2 = 2, e = 1, one step each: 100 %.
    # l = 2: R = (3 + 3) / 2 = 3, e = (1 + 2 + 1) / 3, the student's outputs have 3/2 steps, 3/2 e = 2: 50 %.
    # l = 3: R = 3, e = 8 / 4, still 3/2 steps: 0 %.
    np.testing.assert_allclose(excess_accumulated_error(student, oracle), [100, 50, 0])


@pytest.mark.parametrize("ends", [False, True])
def test_plain_loops(ends):
    generator = np.random.default_rng(0)
    student, oracle = (random_errors(generator, (5, 3, 7), ends) for _ in range(2))
    for length, found in enumerate(excess_accumulated_error(student, oracle), start=1):
        ours = [[x for x in output[:length] if not math.isnan(x)] for prompt in student for output in prompt]
        theirs = [x for prompt in oracle for output in prompt for x in output[:length] if not math.isnan(x)]
        accumulated = sum(map(sum, ours)) / len(ours)
        steps = sum(map(len, ours)) / len(ours)
        assert ends or steps == length  # then it is the published formula
        expected = steps * sum(theirs) / len(theirs)
        assert found == pytest.approx(100 * (accumulated - expected) / expected)


def test_counts_repeat_prompts():
    generator = np.random.default_rng(1)
    pair = [random_errors(generator, (3, 2, 4), True) for _ in range(2)]
    repeated = [errors[[0, 0, 2]] for errors in pair]
    expected = [excess_accumulated_error(*repeated), excess_accumulated_error(*pair)]
    found = excess_accumulated_error(*pair, np.array([[2, 0, 1], [1, 1, 1]]))
    np.testing.assert_allclose(found, expected)


def test_behaviour_like_the_teachers_has_no_excess():
    # Errors depend on where an output is, and so does its end; both authors walk by the same law, independently.
    generator = np.random.default_rng(2)

    def walk():
        errors = np.full((40000, 1, 12), NAN)
        place, alive = np.zeros(40000, int), np.full(40000, True)
        for step in range(12):
            errors[alive, 0, step] = np.array([0.1, 1.0])[place[alive]]
            alive &= generator.random(40000) >= np.array([0.05, 0.4])[place]  # of the worse place it ends sooner
            place = np.where(generator.random(40000) < 0.3, 1 - place, place)
        return errors

    student, oracle = walk(), walk()
    assert np.abs(excess_accumulated_error(student, oracle)[1:]).max() < 2
    assert (~np.isnan(student)).sum(-1).mean() < 6


def test_the_bootstrap_draws_a_prompt_with_all_its_outputs():
    # Every prompt errs half as much again on its own outputs: so does any choice of prompts, however much they differ.
    oracle = random_errors(np.random.default_rng(3), (20, 2, 6), False) * np.logspace(0, 4, 20)[:, None, None]
    bias = measure_exposure_bias(1.5 * oracle, oracle, seed=0)
    for values in (bias.value, bias.low, bias.high):
        np.testing.assert_allclose(values, 50)
    # Two prompts: one in four choices has the first alone, one in four the second.
    bias = measure_exposure_bias(np.array([[[1.0]], [[6.0]]]), np.array([[[1.0]], [[2.0]]]), seed=0)
    np.testing.assert_allclose(bias.at(16), [100 * (7 / 3 - 1), 0, 200])


def test_resamples_with_nothing_to_compare_do_not_count():
    # Of three prompts the oracle errs on one alone. A resample without it, of which there are (2/3)^3 = 8 in 27, says
    # nothing; the others are 0 % or, where the second prompt is drawn too, more.
    student, oracle = np.zeros((3, 1, 2)), np.zeros((3, 1, 2))
    student[:, 0] = [[1, 1], [0.5, 0.5], [0, 0]]
    oracle[0] = 1
    bias = measure_exposure_bias(student, oracle, seed=0)
    np.testing.assert_allclose(bias.value, [50, 50])
    np.testing.assert_allclose(bias.valid_resamples / 2000, [19 / 27] * 2, atol=0.04)
    # Drawn with the first: 0, 1/2 or 1 of what it errs; 2.5 % of those that count have one of it and two of the second.
    np.testing.assert_allclose([bias.low, bias.high], [[0, 0], [100, 100]])
    whole = measure_exposure_bias(student + 1, oracle + 1, seed=0)
    assert whole.valid_resamples.tolist() == [2000, 2000]


def test_what_is_measured_ends_with_the_longest_output():
    student = np.array([[[1, 2, NAN, NAN]], [[3, NAN, NAN, NAN]]])
    oracle = np.array([[[1, 2, 4, NAN]], [[1, NAN, NAN, NAN]]])
    bias = measure_exposure_bias(student, oracle, seed=0)
    np.testing.assert_allclose(bias.value, [100, 50, 0])
    np.testing.assert_allclose(bias.student_error, [2, 2, NAN])
    np.testing.assert_allclose(bias.oracle_error, [1, 2, 4])
    assert bias.at(16) == bias.at(3) == (bias.value[2], bias.low[2], bias.high[2])


def test_one_error_off_the_path_by_hand(tmp_path):
    # Token 2 is on the path, 3 off it. On it both models leave it with 1/4: no error. Off it the teacher comes back
    # with 3/4, the student stays with 3/4: an error of (3/4 - 1/4) ln 3.
    off = 0.5 * math.log(3)
    teacher = table_model([[0.25] * 4, [0.25] * 4, [0, 0, 0.75, 0.25], [0, 0, 0.75, 0.25]])
    student = table_model([[0.25] * 4, [0.25] * 4, [0, 0, 0.75, 0.25], [0, 0, 0.25, 0.75]])
    errors, oracle = both(student, teacher, [[2]] * 500, samples=4, batch_size=2000)
    assert np.isin(errors.round(6), [0, round(off, 6)]).all()
    bias = measure_exposure_bias(errors, oracle, seed=0)
    # Off the path before step 1, 2, 3, 4: the student with 0, 1/4, 3/8, 7/16; the teacher with 0, 1/4, 1/4, 1/4.
    np.testing.assert_allclose(bias.student_error, np.multiply([0, 1 / 4, 3 / 8, 7 / 16], off), atol=0.02 * off)
    np.testing.assert_allclose(bias.oracle_error, np.multiply([0, 1 / 4, 1 / 4, 1 / 4], off), atol=0.02 * off)
    # ExAccErr(3) = (5/8) / (4/8) - 1, ExAccErr(4) = (17/16) / (12/16) - 1.
    assert (
        math.isnan(bias.value[0]) and math.isnan(bias.low[0]) and bias.valid_resamples[0] == 0 < bias.valid_resamples[1]
    )
    np.testing.assert_allclose(bias.value[1:], [0, 25, 100 * 5 / 12], atol=4)
    assert bias.low[2] < 25 < bias.high[2] and 0 < bias.low[3] < 100 * 5 / 12 < bias.high[3]
    plot_exposure_bias(bias, tmp_path / "bias.png")
    assert (tmp_path / "bias.png").read_bytes().startswith(b"\x89PNG")


def test_a_student_that_swaps_what_does_not_matter_has_no_excess():
    # Tokens 2 and 3 lead to one place, 4 and 5 to another, where outputs end sooner. Student and teacher disagree on
    # which of the two they take, more so in the second, never on the place: with the same random numbers, exactly 0.
    def rows(first, second):
        calm = [0, 0.1, *(0.6 * share for share in first), *(0.3 * share for share in second)]
        wild = [0, 0.4, *(0.2 * share for share in second), *(0.4 * share for share in first)]
        return [calm] * 4 + [wild] * 2

    student, teacher = table_model(rows([0.4, 0.6], [0.2, 0.8])), table_model(rows([0.6, 0.4], [0.8, 0.2]))
    errors, oracle = both(student, teacher, [[2], [4]] * 20, samples=3, limit=10)
    lengths = (~np.isnan(errors)).sum(-1)
    assert lengths.min() == 1 and lengths.max() == 10 and np.nanmin(errors) < 0.2 < np.nanmax(errors)
    np.testing.assert_allclose(excess_accumulated_error(errors, oracle), 0, atol=1e-3)


def test_outputs_of_eos_alone():
    student = table_model([[0, 0.9, 0.1]] * 3)
    teacher = table_model([[0, 1 - 1e-9, 1e-9]] * 3)
    errors, oracle = both(teacher, student, [[2], [2, 2]])  # any draw but the last 1e-9 is EOS
    bias = measure_exposure_bias(errors[:, :, :1], oracle[:, :, :1], seed=0)
    assert np.isnan(errors[..., 1:]).all() and bias.at(16) == bias.at(1)
    assert bias.value == pytest.approx([0])


def config(family: str, vocabulary: int):
    if family == "codegen":
        return CodeGenConfig(vocab_size=vocabulary, n_positions=64, n_embd=16, n_layer=2, n_head=4, rotary_dim=4)
    if family == "gpt2":  # absolute positions: padding must not move them
        return GPT2Config(vocab_size=vocabulary, n_positions=64, n_embd=16, n_layer=2, n_head=2)
    return Qwen2Config(
        vocab_size=vocabulary, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, tie_word_embeddings=True,
    )  # fmt: skip


@pytest.fixture(scope="module", params=[("gpt2", 40, 40), ("qwen2", 40, 48), ("codegen", 48, 40)])
def models(request):
    """(student, teacher), random and far apart; vocabularies of one tokenizer, padded to different sizes."""
    family, *sizes = request.param
    made = []
    for seed, size in enumerate(sizes):
        torch.manual_seed(seed)
        settings = config(family, size)
        settings.initializer_range = 0.3
        made.append(AutoModelForCausalLM.from_config(settings).eval())
    return made


def distribution(model, ids: list[int]) -> np.ndarray:
    """Of the token after `ids`, over the 40 common ids, from a forward over all of them."""
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, -1, :40].double().numpy()
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def plain_error(student, teacher, prompt: list[int], output: list[int]) -> list[float]:
    """KL(teacher || student) step by step, the first from the prompt alone."""
    found = []
    for step in range(len(output)):
        q, p = (distribution(model, prompt + output[:step]) for model in (student, teacher))
        found.append((p * np.log(p / q)).sum())
    return found


def test_errors_of_given_outputs(models):
    found = step_errors(*models, PROMPTS, OUTPUTS, pad_token_id=0)
    assert [len(values) for values in found] == [3, 1, 5, 2]
    for values, prompt, output in zip(found, PROMPTS, OUTPUTS, strict=True):
        np.testing.assert_allclose(values, plain_error(*models, prompt, output), rtol=1e-4, atol=1e-6)


def test_outputs_are_drawn_token_by_token(models):
    uniforms = torch.rand(len(PROMPTS), 15, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    for model in models:
        ended = 0
        for prompt, row, output in zip(
            PROMPTS, uniforms, sample_outputs(model, Ids, PROMPTS, uniforms, 40), strict=True
        ):
            ids = []
            while len(ids) < 15 and Ids.eos_token_id not in ids:
                cumulative = distribution(model, prompt + ids).cumsum()
                ids.append(int((cumulative <= row[len(ids)].item()).sum()))
            assert output == ids
            ended += output[-1] == Ids.eos_token_id
        assert ended < len(PROMPTS)


def test_batches_change_nothing(models):
    student, teacher = models
    done = []
    reference = both(student, teacher, PROMPTS, samples=3, limit=6, batch_size=1)
    assert {errors.shape for errors in reference} == {(4, 3, 6)}
    for size in (5, 64):
        found = both(student, teacher, PROMPTS, samples=3, limit=6, batch_size=size, report=done.append)
        np.testing.assert_allclose(found, reference, rtol=1e-4, atol=1e-6)
    assert done == [5, 5, 2] * 2 + [12] * 2
    # Neither do the other prompts: random numbers go by the index.
    alone = sampled_errors(
        student, student, teacher, Ids, PROMPTS[2:3], [2], samples=3, limit=6, batch_size=8, seed=0
    )  # fmt: skip
    np.testing.assert_allclose(alone, reference[0][2:3], rtol=1e-4, atol=1e-6)
    assert not np.allclose(both(student, teacher, PROMPTS, samples=3, limit=6, seed=1), reference, equal_nan=True)


def test_models_that_cannot_be_compared():
    same = np.zeros((2, 1, 3))
    with pytest.raises(InputError, match="have the same distributions"):
        measure_exposure_bias(same, same, seed=0)
    broken = table_model([[0, 0.5, 0.5]] * 3)
    with torch.no_grad():
        broken.get_output_embeddings().weight[2] = NAN
    with pytest.raises(InputError, match=r"question 0: logits of --student or --teacher are not finite"):
        both(table_model([[0, 0.5, 0.5]] * 3), broken, [[2]])


@pytest.fixture
def run(minibench, tiny_models, tmp_path, monkeypatch, capsys):
    """run(*flags, **replaced) -> (exit status, stdout, stderr) of the script in this process."""

    def script(*flags, **replaced):
        given = {"student": tiny_models / "student", "teacher": tiny_models / "teacher", "data": minibench}
        given |= {"json": tmp_path / "new" / "bias.json"} | replaced
        named = [part for name, value in given.items() for part in (f"--{name}", str(value))]
        monkeypatch.syspath_prepend(ROOT / "eval")
        monkeypatch.setattr(sys, "argv", ["exposure_bias.py", *FLAGS, *named, *map(str, flags)])
        try:
            runpy.run_path(str(ROOT / "eval" / "exposure_bias.py"), run_name="__main__")
            status = 0
        except SystemExit as ended:
            status = ended.code
        return status, *capsys.readouterr()

    return script


@pytest.mark.slow
def test_the_script_end_to_end(run, minibench, tiny_models, tmp_path):
    status, out, err = run("--plot", tmp_path / "new" / "bias.png")
    assert status == 0, err
    found = json.loads((tmp_path / "new" / "bias.json").read_text())
    expected = {
        "student": str(tiny_models / "student"), "teacher": str(tiny_models / "teacher"), "benchmark": "spider",
        "split": "dev", "evidence": None, "prompts": 3, "samples": 2, "seed": 0, "lengths": [1, 2, 3, 4, 5],
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    # Of 1000 questions three, evenly spaced; measured here once more.
    tokenizer = load_tokenizer(tiny_models / "student", "--student")
    student, teacher = (load_model(tiny_models / name, "cpu") for name in ("student", "teacher"))
    rows = prepare(RunConfig(benchmark="spider", data=str(minibench)), "dev", tokenizer).rows
    prompts = [rows[index]["prompt_ids"] for index in (0, 333, 666)]
    settings = {"samples": 2, "limit": 5, "batch_size": 1, "seed": 0}
    errors = [
        sampled_errors(who, student, teacher, tokenizer, prompts, [0, 333, 666], **settings)
        for who in (student, teacher)
    ]
    np.testing.assert_allclose(found["curve"], excess_accumulated_error(*errors), atol=0.1)
    np.testing.assert_allclose(found["student_error"], np.nanmean(errors[0], (0, 1)), rtol=1e-3)
    np.testing.assert_allclose(found["oracle_error"], np.nanmean(errors[1], (0, 1)), rtol=1e-3)
    assert found["ex_acc_err_16"] == found["ex_acc_err_full"] == found["curve"][-1]
    assert found["interval_16"] == found["interval_full"] == [found["curve_low"][-1], found["curve_high"][-1]]
    assert found["resamples"] == 2000 and found["resamples_counted"] == [2000] * 5
    assert found["curve_low"][-1] <= found["curve"][-1] <= found["curve_high"][-1]
    assert "5 (full)" in out and "3 of 1000 questions" in out and "6 outputs of " in out
    assert (tmp_path / "new" / "bias.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("flags", "replaced", "message"),
    [
        ([], {"student": "/gone/model"}, "--student /gone/model does not exist; give a model's folder or a hub id"),
        ([], {"teacher": "/gone/model"}, "--teacher /gone/model does not exist"),
        ([], {"teacher": "stranger"}, "100 ids differ and 498 are shared"),
        ([], {"teacher": "student"}, "have the same distributions"),
        ([], {"data": "/gone/data"}, "data folder /gone/data does not exist"),
        ([], {"json": "."}, "--json . is a folder; name a file"),
        (["--plot", "figure.pdf"], {}, "--plot figure.pdf is not a .png"),
        (["--plot", "pyproject.toml/figure.png"], {}, "is not a folder that you can write to"),
        (["--samples", 0], {}, "--samples 0 is out of range; it must be 1 or more"),
        (["--questions-limit", 1], {}, "--questions-limit 1 is out of range; it must be 2 or more"),
        (["--batch-size", "two"], {}, "argument --batch-size: invalid int value: 'two'"),
        (["--surprise", 1], {}, "unrecognized arguments: --surprise 1"),
    ],
)
def test_bad_input_is_one_line(run, tiny_models, tmp_path, monkeypatch, flags, replaced, message):
    monkeypatch.chdir(ROOT)
    replaced = {
        name: tiny_models / value if value in ("stranger", "student") else value for name, value in replaced.items()
    }
    status, out, err = run(*flags, **replaced)
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert status == 2 and len(lines) == 1 and message in lines[0] and out == ""
    assert err.endswith(lines[0] + "\n") and not (tmp_path / "new").exists()


def test_help_has_an_example(run):
    status, out, _ = run("--help")
    assert status == 0 and "example:\n  python eval/exposure_bias.py --student" in out
    assert "--json runs/kid/scores/exposure_bias.json" in out  # where eval/report.py looks for it


def test_the_table_has_no_minus_zero_and_says_what_did_not_count(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "eval")
    show = runpy.run_path(str(ROOT / "eval" / "exposure_bias.py"), run_name="eval")["show"]
    values = [np.array([number, number]) for number in (-0.04, -0.01, 0.2)]
    bias = ExposureBias(*values, np.array([1900, 2000]), np.array([1.0, NAN]), np.ones(2))
    show(bias, {"student": np.ones((2, 1, 2))}, 2, 2000)
    out = capsys.readouterr().out
    assert "0.0 to 0.2" in out and "-0.0" not in out
    assert "intervals use 1900 to 2000 of 2000 resamples of the prompts" in out
    show(replace(bias, valid_resamples=np.array([2000, 2000])), {"student": np.ones((2, 1, 2))}, 2, 2000)
    assert "resamples" not in capsys.readouterr().out
    show(replace(bias, value=np.full(2, NAN)), {"student": np.ones((2, 1, 2))}, 2, 2000)
    assert "nan" not in capsys.readouterr().out
