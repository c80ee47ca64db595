"""What an engine refuses before it is made."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from kid.config.recipe import resolve_config
from kid.errors import InputError
from kid.models.engine import teacher_engine, with_fitting_bucket
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
