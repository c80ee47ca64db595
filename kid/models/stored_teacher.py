"""A teacher whose hidden states are stored on disk: only its head is loaded, to compute logits from them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from kid.data.batching import Batch
from kid.errors import InputError
from kid.losses.head import Head


class StoredTeacher(nn.Module):
    """Replaces a teacher: its states come with the batch, and every rank has the whole head.

    head: weight [V, H], bias [V] or None, in the teacher's dtype.
    """

    def __init__(self, head: Head):
        super().__init__()
        self.weight = nn.Parameter(head.weight, requires_grad=False)
        self.bias = None if head.bias is None else nn.Parameter(head.bias, requires_grad=False)
        self.scale, self.soft_cap = head.scale, head.soft_cap

    @property
    def head(self) -> Head:
        return Head(self.weight, self.bias, self.scale, self.soft_cap)

    @property
    def head_parameters(self) -> list[nn.Parameter]:
        return [weight for weight in (self.weight, self.bias) if weight is not None]

    def states(self, batch: Batch) -> Tensor:
        """The teacher's states at the output tokens of a micro-batch: [N, H]."""
        return self.weight.new_empty(0, self.weight.shape[1]) if batch.teacher_states is None else batch.teacher_states


def head_bytes(head: Head) -> bytes:
    """Serialise a head, its scale and its soft cap as a safetensors file."""
    tensors = {"weight": head.weight.detach().cpu().contiguous()}
    if head.bias is not None:
        tensors["bias"] = head.bias.detach().cpu().contiguous()
    cap = {} if head.soft_cap is None else {"soft_cap": repr(head.soft_cap)}
    return save(tensors, {"scale": repr(head.scale), **cap})


def load_stored_teacher(file: Path, device: torch.device) -> StoredTeacher:
    """Load a file written by `head_bytes`. Raises InputError if it cannot be read."""
    try:
        with safe_open(file, framework="pt", device=str(device)) as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (not a dict)
            values = {name: float(text) for name, text in (stored.metadata() or {}).items() if name != "format"}
        return StoredTeacher(Head(tensors["weight"], tensors.get("bias"), **values))
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} cannot be read ({error}); create it again with train/teacher_states.py") from None
