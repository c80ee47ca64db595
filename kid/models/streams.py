"""Work on a GPU that runs beside other work: a stream of its own, entered by `beside` and left by `join`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch


@cache
def side_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


@contextmanager
def beside(device: torch.device) -> Iterator[None]:
    """On a GPU: what is queued within runs beside what is queued after it, until `join`. Elsewhere nothing changes.

    Memory made within is not given to others too early: the next use begins by waiting for all that was queued before.
    """
    if device.type != "cuda":
        yield
        return
    side = side_stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        yield


def join(device: torch.device) -> None:
    """What is queued from here on waits for what runs `beside`."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).wait_stream(side_stream(device))
