"""An output of 2048 tokens at a vocabulary of 151936 ids: its logits do not fit into memory, the fused losses do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LIMIT_MB = 2500
# One fp32 [2048, 151936] takes 1187 MB; the plain losses hold several.
STEP = """
import resource
import sys

import torch
from deepspeed.utils.timer import SynchronizedWallClockTimer
from transformers import Qwen2Config, Qwen2ForCausalLM

from kid.data.batching import Sample, collate
from kid.models.response_model import ResponseModel
from kid.models.pretrained import TokenIds
from kid.config.recipe import merge_config
from kid.training.step import micro_batch_loss

fused, limit_mb = sys.argv[1], int(sys.argv[2])
sizes = {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 4096}
student, teacher = (
    ResponseModel(Qwen2ForCausalLM(Qwen2Config(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=2 * hidden, tie_word_embeddings=True, **sizes
    )).requires_grad_(False))
    for vocabulary, hidden in ((151936, 16), (152064, 24))
)
for layer in student.causal_lm.model.layers:
    layer.requires_grad_()
config = merge_config(None, {
    "method": "kid", "student": "s", "teacher": "t", "data": "d", "output": "o", "micro_batch_size": 1, "batch_size": 1,
    "mask_strategy": "hard", "fused": fused,
})
sample = Sample([5, 6, 7], [8 + at * 70 for at in range(2048)])
batch = collate([sample], [1 / 2048], [0], pad_token_id=0)
resource.setrlimit(resource.RLIMIT_DATA, (limit_mb * 2**20,) * 2)
tokens = TokenIds(mask=1, eos=0, pad=0, count=151646)
loss, _ = micro_batch_loss(config, "imperfect", student, teacher, batch, 0, tokens, SynchronizedWallClockTimer())
loss.backward()
print(loss.item(), max(weight.grad.abs().max().item() for weight in student.parameters() if weight.requires_grad))
"""


@pytest.mark.slow
@pytest.mark.parametrize("fused", ["on", "off"])
def test_memory_of_a_step(fused, tmp_path):
    """Entropies, predictions, both losses and their gradient."""
    script = tmp_path / "step.py"
    script.write_text(STEP)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, script, fused, str(LIMIT_MB)], env=environment, capture_output=True, text=True, check=False
    )
    if fused == "off":
        assert done.returncode != 0 and "can't allocate memory" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    loss, gradient = map(float, done.stdout.split()[-2:])
    assert 11 < loss < 13 and gradient > 0  # an untrained student: log 151936 = 11.9, and next to no divergence
