"""Several trainings in one launch: `train_many.py LIST.json`, each entry the flags of one, in the names of RunConfig.

An entry with `script: generate` makes a teacher's outputs. Lengths of decoded outputs are written down for each rank.
The processes that annotate questions import this file, so torch and what imports it are imported in functions.
"""

import json
import os
import sys
from pathlib import Path

from kid.config.keys import used_keys
from kid.config.recipe import merge_config, resolve_config
from kid.errors import run_script


def keep_first_gradients(file: Path) -> None:
    """Of the next optimizer step, by parameter, as they are averaged over the ranks."""
    import torch
    from deepspeed import DeepSpeedEngine
    from deepspeed.utils import safe_get_full_grad

    step = DeepSpeedEngine.step

    def keeping(engine):
        if engine.is_gradient_accumulation_boundary():
            named = [(name, p) for name, p in engine.module.named_parameters() if p.requires_grad]
            gradients = {name: safe_get_full_grad(parameter) for name, parameter in named}
            if torch.distributed.get_rank() == 0:
                torch.save(gradients, file)
            DeepSpeedEngine.step = step
        return step(engine)

    DeepSpeedEngine.step = keeping


def main() -> None:
    import kid.training.sources
    from kid.models.decoding import decode
    from kid.training.generation import generate
    from kid.training.trainer import train

    for flags in json.loads(Path(sys.argv[-1]).read_text()):
        if flags.pop("script", None) == "generate":
            generate(merge_config(None, flags))
            continue
        lengths = []

        def counting(*arguments, lengths=lengths, **options):
            outputs = decode(*arguments, **options)
            lengths.append([len(output) for output in outputs])
            return outputs

        kid.training.sources.decode = counting
        if flags.pop("gradients", False):
            keep_first_gradients(Path(flags["output"]) / "gradients.pt")
        used = used_keys(merge_config(None, flags))  # the entries of a list share flags
        train(resolve_config(None, {name: value for name, value in flags.items() if name in used}))
        file = Path(flags["output"]) / f"lengths-{os.environ['RANK']}.json"
        file.write_text(json.dumps(lengths))


if __name__ == "__main__":
    run_script(main)
