"""Several trainings in one launch: `train_many.py LIST.json`, each entry the flags of one, in the names of RunConfig.

An entry with `script: generate` makes a teacher's outputs. Lengths of decoded outputs are written down for each rank.
"""

import json
import os
import sys
from pathlib import Path

import kid.sources
from kid.decoding import decode
from kid.generation import generate
from kid.recipe import merge_config, resolve_config
from kid.trainer import train


def main() -> None:
    for flags in json.loads(Path(sys.argv[-1]).read_text()):
        if flags.pop("script", None) == "generate":
            generate(merge_config(None, flags))
            continue
        lengths = []

        def counting(*arguments, lengths=lengths, **options):
            outputs = decode(*arguments, **options)
            lengths.append([len(output) for output in outputs])
            return outputs

        kid.sources.decode = counting
        train(resolve_config(None, flags))
        file = Path(flags["output"]) / f"lengths-{os.environ['RANK']}.json"
        file.write_text(json.dumps(lengths))


if __name__ == "__main__":  # worker processes import this file
    main()
