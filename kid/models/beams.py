"""Beam search that encodes each prompt, and each schema that prompts share, once for all beams.

It follows the beam search of transformers' `generate` with its default settings (length penalty 1, no early stopping),
which encodes every prompt once per beam.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from kid.data.batching import Sample
from kid.models.decoding import Rows, advance, start_samples
from kid.models.prefix_store import RecentPrefixes
from kid.models.pretrained import TokenIds
from kid.models.response_model import ResponseModel


@dataclass
class Hypotheses:
    """The beams of one prompt.

    running: outputs so far, the most probable first. log_probabilities: fp32 [beams], theirs in nats, summed over
    tokens. finished: (log-probability per token, output) of outputs that have ended, the best first; at most `beams`.
    """

    running: list[list[int]]
    log_probabilities: Tensor
    finished: list[tuple[float, list[int]]] = field(default_factory=list)

    @classmethod
    def start(cls, beams: int) -> Hypotheses:
        """Only the first beam counts at first, so that not all beams get the same token."""
        return cls([[] for _ in range(beams)], torch.tensor([0.0] + [-1e9] * (beams - 1)))

    def extend(self, log_probs: Tensor, eos: int, limit: int) -> list[int]:
        """Extend the beams by a token each, and return the beam that each new one continues.

        Args:
            log_probs: fp32 [beams, V], of the next token of each beam.
            limit: maximum number of tokens of an output.
        """
        beams, vocabulary = log_probs.shape
        total = (log_probs + self.log_probabilities.to(log_probs.device)[:, None]).flatten()
        # Twice as many as beams: if the best ones all end, as many are left.
        values, places = total.topk(2 * beams)
        continued: list[tuple[float, int, int]] = []
        for rank, (value, place) in enumerate(zip(values.tolist(), places.tolist(), strict=True)):
            parent, token = divmod(place, vocabulary)
            output = [*self.running[parent], token]
            if token != eos and len(output) < limit:
                continued.append((value, parent, token))
            elif rank < beams:
                self.finished.append((value / len(output), output))
        self.finished = sorted(self.finished, key=lambda one: -one[0])[:beams]
        continued = continued[:beams]
        self.running = [[*self.running[parent], token] for _, parent, token in continued]
        self.log_probabilities = torch.tensor([value for value, *_ in continued])
        return [parent for _, parent, _ in continued]

    def is_done(self) -> bool:
        """Whether no running output can become one of the best: its score would have to rise."""
        if not self.running:
            return True
        best = float(self.log_probabilities[0]) / len(self.running[0])
        return len(self.finished) >= len(self.running) and best <= self.finished[-1][0]


@torch.no_grad()
def decode_beams(
    model: ResponseModel,
    samples: Sequence[Sample],
    *,
    tokens: TokenIds,
    limit: int,
    size: int,
    beams: int,
    prefixes: RecentPrefixes,
) -> Iterator[tuple[int, list[list[int]]]]:
    """Decode the `beams` best outputs of each prompt.

    Args:
        model: in eval mode, without a `prefix_unsupported_reason`.
        samples: their prompts are taken in this order; those with the same schema should be adjacent.
        tokens: the tokenizer's ids; padding ids of the model's vocabulary are never drawn.
        limit: maximum number of tokens of an output.
        size: maximum number of rows of a batch; a prompt has `beams` rows.
        prefixes: the prefix cache of schemas, reused across batches.

    Yields:
        (index of a sample, its outputs, the best first), batch by batch. An output ends with its only EOS, or has
        `limit` tokens and no EOS.
    """
    at_once = max(1, size // beams)
    for first in range(0, len(samples), at_once):
        chosen = range(first, min(first + at_once, len(samples)))
        logits, running = start_samples(model, [samples[index] for index in chosen], tokens.pad, prefixes)
        searches = [Hypotheses.start(beams) for _ in chosen]
        decode_together(model, logits, running, searches, tokens, limit)
        for index, search in zip(chosen, searches, strict=True):
            yield index, [output for _, output in search.finished]


def decode_together(
    model: ResponseModel, logits: Tensor, running: Rows, searches: Sequence[Hypotheses], tokens: TokenIds, limit: int
) -> None:
    """Search until the outputs of every prompt are known; prompts that are done leave the batch.

    Args:
        logits: [n, V], of the first token of each prompt. running: its n rows.
        searches: n.
    """
    searching, rows_each = list(searches), 1
    while True:
        log_probs = logits[:, : tokens.count].float().log_softmax(-1).unflatten(0, (len(searching), rows_each))
        kept: list[int] = []
        left: list[Hypotheses] = []
        for place, search in enumerate(searching):
            own = log_probs[place].expand(len(search.log_probabilities), -1)  # at first, all beams have one row
            parents = search.extend(own, tokens.eos, limit)
            if not search.is_done():
                left.append(search)
                kept += [place * rows_each + min(parent, rows_each - 1) for parent in parents]
        if not left:
            return
        running.keep(kept)
        searching, rows_each = left, len(left[0].running)
        drawn = torch.tensor([output[-1] for search in left for output in search.running], device=logits.device)
        logits = advance(model, running, drawn)
