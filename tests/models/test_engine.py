"""What an engine refuses before it is made, and where ranks of one node meet."""

import socket
from datetime import timedelta

import psutil
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, get_cosine_schedule_with_warmup

from kid.config.recipe import resolve_config
from kid.errors import InputError, RunError
from kid.models.engine import (
    is_one_node,
    learning_rate_share,
    loopback_interface,
    loopback_rendezvous,
    teacher_engine,
    with_fitting_bucket,
)
from kid.models.loading import add_lora
from kid.models.pretrained import Pretrained
from kid.models.response_model import ResponseModel
from kid.models.zero3 import trains_head

SIZES = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1}


@pytest.fixture
def one_rank(tmp_path):
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def model() -> LlamaForCausalLM:
    return LlamaForCausalLM(LlamaConfig(**SIZES, num_attention_heads=2))


@pytest.mark.parametrize("how", [{"target_modules": ["lm_head"]}, {"modules_to_save": ["lm_head"]}])
def test_a_teacher_whose_adapter_changes_the_head_is_refused(how, tmp_path, one_rank):
    """The fused losses would take the head without the adapter, and nobody would see it."""
    model().save_pretrained(tmp_path / "base")
    how = {"target_modules": ["q_proj"], **how}
    get_peft_model(model(), LoraConfig(r=2, task_type="CAUSAL_LM", **how)).save_pretrained(tmp_path / "adapter")
    flags = {"student": "s", "teacher": str(tmp_path / "adapter"), "data": "d", "output": "o", "dtype": "fp32"}
    teacher = Pretrained(tmp_path / "base", tmp_path / "adapter", tmp_path / "base")
    with pytest.raises(InputError, match=r"adapter .* changes the output head"):
        teacher_engine(resolve_config(None, flags), teacher, {"zero_optimization": {"stage": 0}})


# (steps of warm-up, steps) -> the share of the peak in each step, as docs/how-it-works.md gives the formula.
SCHEDULES = {
    (0, 1): [1],
    (1, 1): [1],
    (0, 2): [1, 0.5],
    (1, 2): [1, 0.5],
    (2, 2): [0.5, 1],
    (0, 4): [1, 0.8535534, 0.5, 0.1464466],
    (2, 4): [0.5, 1, 0.75, 0.25],
    (3, 6): [1 / 3, 2 / 3, 1, 0.8535534, 0.5, 0.1464466],
    (4, 4): [0.25, 0.5, 0.75, 1],
}


@pytest.mark.parametrize(("warmup", "total"), SCHEDULES)
def test_the_documented_schedule(warmup, total):
    found = [learning_rate_share(step, warmup, total) for step in range(1, total + 1)]
    assert found == pytest.approx(SCHEDULES[warmup, total])
    assert learning_rate_share(total + 1, warmup, total) == pytest.approx(0)


@pytest.mark.parametrize("total", [1, 2, 7, 500])
def test_every_step_changes_something(total):
    for warmup in {0, 1, total // 3, total}:
        shares = [learning_rate_share(step, warmup, total) for step in range(1, total + 1)]
        assert min(shares) > 0 and max(shares) == 1 == shares[max(0, warmup - 1)]
        # transformers' schedule of one step more, without its first step at 0.
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        theirs = get_cosine_schedule_with_warmup(optimizer, max(1, warmup), total + 1).lr_lambdas[0]
        assert shares == pytest.approx([theirs(step) for step in range(1, total + 1)])


def test_whether_the_head_is_trained():
    assert trains_head(ResponseModel(model()))
    assert not trains_head(ResponseModel(add_lora(model(), 2, 4, 0.0, seed=0)))


@pytest.mark.parametrize(
    ("given", "bucket"), [({}, 60), ({"reduce_bucket_size": 7}, 7), ({"reduce_bucket_size": 500}, 60)]
)
def test_the_reduce_bucket_is_no_larger_than_the_trained_weights(given, bucket):
    config = {"zero_optimization": {"stage": 2, **given}, "other": 1}
    trained = [torch.nn.Parameter(torch.zeros(5, 10)), torch.nn.Parameter(torch.zeros(10))]
    assert with_fitting_bucket(config, trained) == {
        "zero_optimization": {"stage": 2, "reduce_bucket_size": bucket}, "other": 1
    }  # fmt: skip
    assert config["zero_optimization"] == {"stage": 2, **given}


@pytest.fixture
def rank_0_of_two(monkeypatch):
    """The environment that a launcher gives, with a free port, which is returned."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}.items():
        monkeypatch.setenv(name, value)
    return port


@pytest.mark.parametrize(
    ("environment", "one"),
    [
        ({"WORLD_SIZE": "2", "LOCAL_SIZE": "2"}, True),
        ({"WORLD_SIZE": "4", "LOCAL_SIZE": "2"}, False),
        ({"WORLD_SIZE": "1"}, True),
        ({"WORLD_SIZE": "2"}, False),
        ({"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}, True),
        ({"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_USE_AGENT_STORE": "True"}, False),
    ],
)
def test_whether_a_job_is_on_one_node(environment, one, monkeypatch):
    for name in ("LOCAL_SIZE", "LOCAL_WORLD_SIZE", "TORCHELASTIC_USE_AGENT_STORE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_one_node() == one


def test_ranks_of_one_node_meet_on_the_loopback_address_in_time(rank_0_of_two, monkeypatch):
    with pytest.raises(torch.distributed.DistError, match="1/2 clients joined"):
        next(loopback_rendezvous("", timedelta(seconds=1)))
    monkeypatch.setenv("WORLD_SIZE", "1")
    store, rank, ranks = next(loopback_rendezvous("", timedelta(seconds=1)))
    assert (store.port, rank, ranks) == (rank_0_of_two, 0, 1)
    listening = [each.laddr for each in psutil.Process().net_connections() if each.status == psutil.CONN_LISTEN]
    assert ("127.0.0.1", rank_0_of_two) in listening
    assert "127.0.0.1" in [address.address for address in psutil.net_if_addrs()[loopback_interface()]]
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(
        RunError, match=rf"port {rank_0_of_two} of 127.0.0.1 \(.*\); give deepspeed another --master_port"
    ):
        next(loopback_rendezvous("", timedelta(seconds=1)))
    del store
