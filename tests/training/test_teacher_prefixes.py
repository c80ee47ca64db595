"""A teacher's stored prefixes change nothing but the cost: losses and gradients are those without them."""

import copy
import json

import pytest
import torch
from helpers.shared_prompts import ARCHITECTURES, HOW, ONE, SAMPLES, TAUGHT, TWO, assert_same, of_family, step_of
from helpers.steps import CASES, STEP, configuration, model

import kid.training.teacher_prefixes
from kid.config.methods import GOLD, IMPERFECT, METHODS, ON_POLICY
from kid.data.batching import Dataset, Sample
from kid.data.prefixes import choose_prefixes, stored_part
from kid.errors import InputError
from kid.models.prefix_store import FILE, PrefixStore, entry_of, states_of, store_folder
from kid.models.response_model import ResponseModel
from kid.training.teacher_prefixes import open_store

pytestmark = pytest.mark.usefixtures("one_rank", "cache")
DATASET = Dataset(SAMPLES, ["db"] * len(SAMPLES), [])


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def store_of(config, teacher, *prefixes):
    """A store with these prefixes only, or with all that two prompts have."""
    store = open_store(config, teacher, "hash", DATASET)
    kept = {prefix: store.folders[tuple(prefix)] for prefix in map(tuple, prefixes)} if prefixes else store.folders
    return PrefixStore(kept, store.device)


@pytest.mark.parametrize(("step", "micro_batch_size"), [(STEP - 1, 2), (STEP, 4)])
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(("method", "source", "changes"), [case for case in CASES if METHODS[case[0]].needs_teacher])
def test_a_step_is_that_without_the_store(method, source, changes, how, step, micro_batch_size):
    models = model(0, 16, 40), model(1, 24, 44)
    config = configuration(method, **{**changes, **how, "micro_batch_size": micro_batch_size})
    plain = step_of(config, source, *models, step)
    assert_same(step_of(config, source, *models, step, store=store_of(config, models[1])), plain, 1e-5)
    # One of the two schemas only: stored rows and others, side by side or in micro-batches of their own.
    assert_same(step_of(config, source, *models, step, store=store_of(config, models[1], TWO)), plain, 1e-5)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(("method", "source"), [("kid", IMPERFECT), ("rkd", GOLD), ("gkd-rkl", ON_POLICY)])
@pytest.mark.parametrize("family", ARCHITECTURES)
def test_every_family(family, method, source, how):
    student, teacher = of_family(family, 0, lora=True), of_family(family, 1, lora=True)
    config = configuration(method, **how, micro_batch_size=4, mask_ratio=0.5)
    for step in (STEP - 1, STEP):
        plain = step_of(config, source, student, teacher, step)
        assert_same(step_of(config, source, student, teacher, step, store=store_of(config, teacher)), plain, 1e-5)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("method", ["fkd", "rkd"])
def test_in_bf16_the_difference_is_rounding(method, how):
    """Both ways are about as far from float64; y is gold, so that no near tie decides."""
    rounded = [of_family("qwen", seed, lora=seed == 0, dtype=torch.bfloat16) for seed in (0, 1)]
    exact = [ResponseModel(copy.deepcopy(each.model)).double() for each in rounded]
    found = {}
    for name, models, stores in (("exact", exact, False), ("stored", rounded, True), ("plain", rounded, False)):
        config = configuration(method, **how, micro_batch_size=4)
        store = store_of(config, models[1]) if stores else None
        sums, gradients = step_of(config, GOLD, *models, store=store)
        found[name] = sums["loss"], torch.cat([g.double().flatten() for g in gradients.values()])
    exact_loss, exact_gradient = found["exact"]
    errors = {
        name: (abs(loss - exact_loss) / exact_loss, ((gradient - exact_gradient).norm() / exact_gradient.norm()).item())
        for name, (loss, gradient) in found.items()
    }
    assert errors["stored"][0] < 0.02 and errors["stored"][1] < max(0.02, 2 * errors["plain"][1]), errors


@pytest.mark.parametrize("how", HOW)
def test_kid_at_ratio_0_is_rkd_to_the_last_digit(how):
    models, found = (model(0, 16, 40), model(1, 24, 44)), []
    for method, changes in (("rkd", {}), ("kid", {"mask_ratio": 0.0})):
        config = configuration(method, **how, **changes, micro_batch_size=4)
        found.append(step_of(config, GOLD, *models, store=store_of(config, models[1])))
    assert_same(*found, 0.0)


def test_only_what_is_not_stored_runs():
    teacher, calls = model(1, 24, 44), []
    config = configuration("kid", micro_batch_size=4)
    samples = [Sample([*ONE, 5, 6, 7], [8, 9, 1], len(ONE)), Sample([*ONE, 30, 31], [8, 1], len(ONE))] * 2
    whole, some = store_of(config, teacher), store_of(config, teacher, TWO)
    teacher.register_forward_hook(lambda _, given, __: calls.append(tuple(given[0].shape)))
    step_of(config, IMPERFECT, model(0, 16, 40), teacher, 0, samples, whole)
    assert calls == [(4, 3 + 2)]  # what is left of the prompts, and outputs
    calls.clear()
    other = Sample([20, 21, 22, 23, 24, 25, 26], [8, 1])
    step_of(config, IMPERFECT, model(0, 16, 40), teacher, 0, [*samples[:3], other], whole)
    assert calls == [
        (1, 8),
        (4, 3 + 2),
    ]  # first the beginning of the one that is not stored, in the columns of the others
    calls.clear()
    step_of(config, IMPERFECT, model(0, 16, 40), teacher, 0, samples, some)
    assert calls == [(4, 10), (4, 3)]  # as without a store


def test_what_is_stored():
    """Whole schemas that two prompts have, those of most prompts first, as far as they fit."""
    samples = [*SAMPLES, Sample([1, 2, 3, 4], [1], 3), Sample([*ONE, 5], [1], 0), Sample([*TWO, 9], [1], len(TWO))]
    dataset = Dataset(samples, ["db"] * len(samples), [])
    assert stored_part(samples[0]) == tuple(ONE) and stored_part(samples[8]) == ()
    assert stored_part(samples[9]) == tuple(TWO[:-1])  # two tokens stay the prompt's own
    found = choose_prefixes(dataset, 10, 1000)
    assert found.prefixes == [tuple(ONE), tuple(TWO)]
    assert found.prompts == pytest.approx(4 / 10) and found.tokens == pytest.approx(26 / sum(dataset.prompt_lengths))
    assert choose_prefixes(dataset, 10, 129).prefixes == [tuple(ONE)]
    assert choose_prefixes(dataset, 10, 79).prefixes == [tuple(TWO)]
    assert not choose_prefixes(dataset, 10, 0).prefixes


def test_a_second_run_computes_nothing_and_a_torn_file_is_made_again(cache, capsys):
    teacher, config = model(1, 24, 44), configuration("kid")
    store = open_store(config, teacher, "hash", DATASET)
    said = capsys.readouterr().out
    assert "keys and values of 2 schemas" in said and "57% of the prompts" in said
    calls = []
    teacher.register_forward_hook(lambda _, given, __: calls.append(tuple(given[0].shape)))
    open_store(config, teacher, "hash", DATASET)
    assert calls == [(1, 1)]  # one token, to know what a token takes
    torn = store.folders[tuple(TWO)] / FILE
    content = torn.read_bytes()
    torn.write_bytes(content[:-4] + b"torn")
    assert open_store(config, teacher, "hash", DATASET) and calls == [(1, 1), (1, 1), (1, len(TWO))]
    assert torn.read_bytes() == content
    assert "it is built again" in capsys.readouterr().err


def test_a_pre_pass_that_was_killed_goes_on(monkeypatch):
    teacher, config, computed = model(1, 24, 44), configuration("kid"), []

    def killed(_, tokens):
        computed.append(tuple(tokens))
        if len(computed) == 3:  # one token, to know what a token takes; a schema; and another
            raise KeyboardInterrupt
        return states_of(teacher, tokens)

    monkeypatch.setattr(kid.training.teacher_prefixes, "states_of", killed)
    with pytest.raises(KeyboardInterrupt):
        open_store(config, teacher, "hash", DATASET)
    store = open_store(config, teacher, "hash", DATASET)
    assert computed[1:3] == [tuple(ONE), tuple(TWO)] or computed[1:3] == [tuple(TWO), tuple(ONE)]
    assert computed[4:] == [computed[2]]  # only the one that was missing
    assert len(store.folders) == 2 and all((folder / FILE).exists() for folder in store.folders.values())


def test_what_the_states_depend_on_is_in_the_folders_name(cache):
    config, cpu = configuration("kid"), torch.device("cpu")
    places = {store_folder(config, "one", cpu), store_folder(config, "two", cpu)}
    changes = {"dtype": "fp32"}, {"attention": "sdpa"}
    places |= {store_folder(configuration("kid", **change), "one", cpu) for change in changes}
    places.add(store_folder(config, "one", torch.device("cuda")))
    assert len(places) == 5
    assert entry_of(cache, tuple(ONE)) != entry_of(cache, tuple(TWO))


def test_no_store_where_it_is_off_or_cannot_be(monkeypatch):
    teacher = model(1, 24, 44)
    assert open_store(configuration("kid", teacher_prefix_gb=0), teacher, "hash", DATASET) is None
    assert open_store(configuration("kid", prefix="off"), teacher, "hash", DATASET) is None
    alone = Dataset([sample for sample in SAMPLES if not sample.shared], ["db"] * 2, [])
    assert open_store(configuration("kid"), teacher, "hash", alone) is None
    assert open_store(configuration("kid", teacher_prefix_gb=1e-9), teacher, "hash", DATASET) is None


def test_a_full_disk_is_one_line(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "states.safetensors")

    monkeypatch.setattr(kid.training.teacher_prefixes, "save", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left .*lower --teacher-prefix-gb"):
        open_store(configuration("kid"), model(1, 24, 44), "hash", DATASET)


def test_a_cache_that_cannot_be_written_is_one_line(cache):
    cache.mkdir()
    (cache / "prefixes").write_text("no folder")
    with pytest.raises(InputError, match=r"cannot be written \(.*give --teacher-prefix-gb 0$"):
        open_store(configuration("kid"), model(1, 24, 44), "hash", DATASET)


def test_what_the_teacher_has_said_keeps_its_schema():
    assert all(a.shared == b.shared for a, b in zip(SAMPLES, TAUGHT, strict=True))
    assert json.dumps([sample.shared for sample in TAUGHT[:5]]) == "[8, 8, 8, 5, 5]"
