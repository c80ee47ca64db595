"""Run work in a second CUDA stream: `on_side_stream` queues it, `wait_side_stream` waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch


@cache
def side_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


@contextmanager
def on_side_stream(device: torch.device) -> Iterator[None]:
    """On a GPU, work queued inside runs concurrently with work queued after it, until `wait_side_stream`.

    On other devices it has no effect. Memory allocated inside is not reused too early, because the side stream first
    waits for everything queued before it.
    """
    if device.type != "cuda":
        yield
        return
    side = side_stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        yield


def wait_side_stream(device: torch.device) -> None:
    """Make all work queued from here on wait for the work in the side stream."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).wait_stream(side_stream(device))
