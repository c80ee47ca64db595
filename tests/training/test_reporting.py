"""What a training says: warnings and advice at the start, and the progress bar."""

import io
import time
from dataclasses import replace
from datetime import datetime

import pytest
from tqdm import tqdm

from kid.config.run_config import RunConfig
from kid.data.batching import Dataset, Sample
from kid.training.inputs import size_warning
from kid.training.reporting import (
    describe_results,
    describe_sharing,
    dev_questions,
    device_warning,
    end_time,
    memory_advice,
    shared_questions,
    show_step,
)

CONFIG = RunConfig(batch_size=8, micro_batch_size=2)
ROW = {"step": 1, "loss": 1.5, "kd": 1.0, "mle": 0.5, "tokens_per_second": 1234.5}


def test_a_run_for_gpus_that_finds_none_is_warned():
    line = device_warning(replace(CONFIG, dtype="bf16"), 8, "cpu")
    assert "no GPU was found: 8 ranks train on this machine's CPU" in line and "ds_configs/cpu.json" in line
    assert not device_warning(replace(CONFIG, dtype="fp32"), 8, "cpu") and not device_warning(CONFIG, 8, "cuda")


def test_a_teacher_smaller_than_its_student_is_noticed():
    assert "(900 and 1,000)" in size_warning(1000, 900)
    assert size_warning(1000, 1000) == size_warning(1000, None) == ""


def test_questions_in_both_splits_are_counted_and_named():
    train = frozenset({("db", "how many singers?"), ("db", "names?"), ("other", "how many?")})
    line = shared_questions(train, frozenset({("db", "how many singers?"), ("db", "how many?")}))
    assert line.startswith("1 of its questions are also in train") and '"how many singers?" (db)' in line
    assert not shared_questions(train, frozenset({("db", "how many?")}))


def test_dev_is_compared_with_train_also_if_training_does_not_evaluate(tmp_path):
    """It need not be there, nor whole."""
    config = RunConfig(benchmark="jsonl", data=str(tmp_path))
    assert dev_questions(config) == frozenset()
    lines = ['{"db_id": "db", "question": "How  many?", "query": "SELECT 1"}', '{"db_id": "db", "question": "Who?"}']
    (tmp_path / "dev.jsonl").write_text("\n".join(lines))
    assert dev_questions(config) == {("db", "how many?"), ("db", "who?")}
    (tmp_path / "dev.jsonl").write_text("{")
    assert dev_questions(config) == frozenset()


def test_schema_batches_are_advised_where_they_save_much():
    prompts = [[1, 2, 3, 4, 5, 6, 7, 8, 9, db, 10 + number] for number in range(2) for db in (20, 30)]
    data = Dataset([Sample(ids, [1]) for ids in prompts], ["db"] * 4, [])
    config = replace(CONFIG, batching="random")
    assert describe_sharing(config, data).startswith("advice: with --batching schema, about 4")
    assert describe_sharing(replace(config, batching="schema"), data).startswith("train: about 4")
    different = Dataset([Sample([number] * 5, [1]) for number in range(4)], ["db"] * 4, [])
    assert describe_sharing(config, different) == ""


@pytest.mark.parametrize(
    ("size", "ranks", "peak", "advised"),
    [(2, 1, 20e9, True), (2, 4, 20e9, False), (2, 1, 60e9, False), (4, 1, 1e9, False)],
)
def test_larger_micro_batches_are_advised_where_memory_is_left(size, ranks, peak, advised):
    line = memory_advice(replace(CONFIG, micro_batch_size=size), ranks, peak, 80e9)
    assert ("leave 75% of the GPU's 80 GB unused; --micro-batch-size 4" in line) == advised and bool(line) == advised


def test_without_a_gpu_there_is_no_advice_on_memory():
    assert memory_advice(CONFIG, 1, 0.0, 0.0) == ""


def test_the_bar_shows_both_losses_speed_the_last_ex_and_its_end(monkeypatch):
    screen = io.StringIO()
    bar = tqdm(total=100, file=screen, ncols=200, mininterval=0)
    monkeypatch.setattr(time, "time", lambda: bar.start_t + 1)  # a second after it has started
    show_step(CONFIG, bar, ROW | {"validation_loss": 0.25}, [{"step": 1, "ex": 40.0}, {"step": 2, "ex": 43.21}])
    bar.refresh()
    line = screen.getvalue()
    assert "loss=1.5000, kd=1.0000, mle=0.5000, ex=43.2, tokens/s=1,234" in line and "ends=" in line
    assert "GB" not in line
    show_step(CONFIG, bar, ROW | {"mle": 0.0, "peak_memory_gb": 31.25}, [])
    bar.refresh()
    assert "loss=1.5000, tokens/s=1,234, GB=31.2" in screen.getvalue()


def test_the_end_is_a_time_of_the_day_and_a_date_where_it_is_another_day():
    bar = tqdm(total=10, file=io.StringIO())
    noon = datetime(2026, 5, 1, 12).timestamp()
    assert end_time(bar, noon) == ""
    bar.n, bar.start_t = 5, time.time() - 600
    bar._ema_dt, bar._ema_dn = (lambda *_: 120.0), (lambda *_: 1.0)
    assert end_time(bar, noon) == "12:10"
    bar._ema_dt = lambda *_: 36000.0
    assert end_time(bar, noon) == "May 03 14:00"


def test_validation_results_are_sentences():
    assert describe_results(CONFIG, ROW | {"validation_loss": 0.25}) == [
        "step 1: validation loss 0.2500 nats per token, on gold SQL of dev"
    ]
    assert describe_results(CONFIG, ROW) == []
