"""Runs as training leaves them, and their merged exports."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from kid.config.run_config import RunConfig, dump_config
from kid.export.run import export_merged, find_trained_student
from kid.models.loading import add_lora, load_causal_lm
from kid.models.pretrained import load_tokenizer

BASE_CARD = "---\nlicense: other\nlicense_name: a-research-license\nlicense_link: LICENSE\n---\n# A base\n"


def write_run(folder: Path, base: Path, dtype: str = "fp32", lora_rank: int = 4, kind: str | None = None) -> Path:
    """A run's directory as training leaves it; `kind` instead of adapter/ or model/."""
    config = RunConfig(student=str(base), teacher="/models/big-teacher", data="/data/spider", output=str(folder))
    config = RunConfig(**{**vars(config), "dtype": dtype, "lora_rank": lora_rank})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(dump_config(config))
    (folder / "environment.json").write_text('{"python": "3.11.7", "packages": {"torch": "2.13.0"}, "world_size": 8}')
    model = load_causal_lm(base, dtype, "eager")
    if lora_rank:
        model = add_lora(model, lora_rank, 32.0, 0.0, seed=0)
        model.peft_config["default"].base_model_name_or_path = str(base)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:  # B is 0 at first; all weights move a little
                parameter.add_(torch.randn_like(parameter) * 0.02)
    trained = folder / (kind or ("adapter" if lora_rank else "model"))
    model.save_pretrained(trained)
    load_tokenizer(base, "base").save_pretrained(trained)
    return folder


def exported(run: Path, dtype: str = "fp32", step: int | None = None) -> Path:
    export_merged(find_trained_student(run, step), run / "merged", dtype, "python train/export.py run --merge")
    return run / "merged"


def stored(folder: Path) -> dict[str, torch.Tensor]:
    return {name: value for file in folder.glob("*.safetensors") for name, value in load_file(file).items()}
