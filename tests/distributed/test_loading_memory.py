"""Loading never holds the whole teacher in a rank's memory: of two ranks each takes half of it, and little more."""

import json
import shutil

import pytest
import torch
from helpers.launcher import ROOT
from helpers.load_teacher import values
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, Qwen2Config

RANKS = 2
# Name -> (layers, whether the head is the embedding, name of a single file, number of files): 2.1 and 0.6 GB.
CHECKPOINTS = {
    "untied": (19, False, "model.safetensors", 4),
    "tied": (5, True, "pytorch_model.bin", 2),
}
SIZES = {"hidden_size": 2048, "intermediate_size": 5632, "num_attention_heads": 16, "num_key_value_heads": 16}
# Beyond a rank's half: its rows of one weight while they are copied, Python's own. DeepSpeed's own zero.Init takes
# 2.4e8 more than half of the first, and 3.5e8 of the second; loading whole on each rank 1.1e9 and 4.1e8.
MORE = 1.2e8


def write_checkpoint(folder, layers: int, tied: bool, name: str, files: int) -> None:
    """In bf16, a weight of each layer in any of the files."""
    config = Qwen2Config(**SIZES, vocab_size=16384, num_hidden_layers=layers, tie_word_embeddings=tied)
    config.save_pretrained(folder)
    with torch.device("meta"):
        shapes = {key: p.shape for key, p in AutoModelForCausalLM.from_config(config).named_parameters()}
    stem, _, kind = name.partition(".")
    where, save = {}, save_file if kind == "safetensors" else torch.save
    for number in range(files):
        file = f"{stem}-{number + 1:05}-of-{files:05}.{kind}"
        numbered = [(at, key) for at, key in enumerate(shapes) if at % files == number]
        save({key: values(at, 0, shapes[key].numel()).view(shapes[key]) for at, key in numbered}, folder / file)
        where |= {key: file for _, key in numbered}
    (folder / f"{name}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))


@pytest.fixture(scope="module")
def ranks(launch, tmp_path_factory) -> list[dict[str, dict]]:
    """What each rank wrote down about the checkpoints, which are gone again."""
    folder = tmp_path_factory.mktemp("loading")
    try:
        for name, made_of in CHECKPOINTS.items():
            write_checkpoint(folder / name, *made_of)
        done = launch(RANKS, ROOT / "tests" / "helpers" / "load_teacher.py", folder, *CHECKPOINTS, fresh=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(RANKS)]
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(("name", "size"), [("untied", 2.0e9), ("tied", 0.57e9)])
def test_a_rank_never_holds_more_than_its_part_and_a_weights_rows(ranks, name, size):
    """From the imports to the engine; each parameter's part is read where it lies in the checkpoint."""
    for found in (rank[name] for rank in ranks):
        assert found["wrong"] == [] and size / RANKS <= found["held"] < 0.55 * size
        assert found["taken"] < found["held"] + MORE and found["looks"] > 20
