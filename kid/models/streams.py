"""Work on a GPU in a side stream: `on_side_stream` queues it, `wait_side_stream` waits for it."""

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
    """On a GPU: what is queued inside runs concurrently with what is queued after it, until `wait_side_stream`.

    On other devices nothing changes. Memory allocated inside is not reused too early: the next use begins by waiting
    for everything that was queued before.
    """
    if device.type != "cuda":
        yield
        return
    side = side_stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        yield


def wait_side_stream(device: torch.device) -> None:
    """What is queued from here on waits for the work in the side stream."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).wait_stream(side_stream(device))
