"""What works with a family of models: one function per column of docs/models.md, on a tiny model in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from kid.config.run_config import RunConfig
from kid.data.batching import Batch, Sample, collate, sample_weights
from kid.export.run import merge_adapter
from kid.losses.head import project
from kid.models.decoding import decode
from kid.models.loading import add_adapter, add_lora, load_causal_lm
from kid.models.prefix_cache import encode_prompts, forward_outputs
from kid.models.pretrained import TokenIds
from kid.models.response_model import ResponseModel
from kid.models.windows import open_windows
from parts.model_families import VOCABULARY, Family

EOS = 2
# Prompts of two schemas, with outputs; the third prompt is on the first one's schema, and the last one shares nothing.
SCHEMA, OTHER = [1, *range(11, 24)], [1, *range(30, 37)]
SAMPLES = [
    Sample([*SCHEMA, 5, 6, 7], [8, 9, 10, EOS], len(SCHEMA)),
    Sample([*OTHER, 40, 41, 42, 43, 44], [50, EOS], len(OTHER)),
    Sample([*SCHEMA, 60], [61, 62, 63, 64, 65, 66, EOS], len(SCHEMA)),
    Sample([1, 70, 71], [EOS]),
]
LONGEST = RunConfig.max_prompt_length + RunConfig.max_completion_length  # what a run with default settings can have
NEW_TOKENS = 12


class UnsupportedError(Exception):
    """Why something does not work, for the table."""


def write_model(family: Family, folder: Path) -> None:
    """Save a model with random weights, large enough that its layers matter, and small enough for fp32."""
    torch.manual_seed(0)
    config = family.config()
    config.initializer_range = 0.15
    AutoModelForCausalLM.from_config(config).eval().save_pretrained(folder)


def expect_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Raise an AssertionError unless two results agree to 1e-4 of the largest value: a wrong one is far off."""
    assert found.shape == expected.shape and (found - expected).abs().max() <= 1e-4 * expected.abs().max()


def loaded(folder: Path) -> PreTrainedModel:
    return load_causal_lm(folder, "fp32", "auto").eval()


def opened(folder: Path) -> ResponseModel:
    """The model as a run with default settings has it. Raises UnsupportedError if prompts cannot be encoded once."""
    model = ResponseModel(loaded(folder))
    open_windows(model.causal_lm, LONGEST)
    if model.prefix_unsupported_reason:
        raise UnsupportedError(model.prefix_unsupported_reason)
    return model


def batch_of(share: bool) -> Batch:
    lengths = [len(sample.completion_ids) for sample in SAMPLES]
    return collate(SAMPLES, sample_weights(lengths, "sample"), list(range(len(SAMPLES))), 0, share)


def check_loading(folder: Path) -> str:
    """All weights are those that transformers loads."""
    weights = loaded(folder).state_dict()
    for name, expected in AutoModelForCausalLM.from_pretrained(folder).state_dict().items():
        assert torch.equal(weights[name], expected), name
    return "yes"


def check_lora(folder: Path) -> str:
    """The layers with LoRA: all linear ones except the head."""
    model = loaded(folder)
    modules = add_lora(model, 2, 4, 0.0, 0).named_modules()
    # The experts' weights, which are in one tensor, are adapted by layers around each other.
    adapted = [name.removesuffix(".base_layer") for name, module in modules if hasattr(module, "lora_A")]
    assert adapted and not any(name.endswith(("lm_head", "embed_out")) for name in adapted)
    return ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in adapted))


def outputs_and_gradients(model: ResponseModel, batch: Batch, prefix: str) -> list[torch.Tensor]:
    """The hidden states that predict the outputs, and the gradients of a loss on them."""
    config = RunConfig(prefix=prefix == "on")
    cache = encode_prompts(config, model, batch, separately=not batch.shared_width)
    assert (cache.width > 0) == config.prefix
    hidden = forward_outputs(config, model, batch, cache, batch.completion_ids)
    direction = torch.randn(hidden.shape, generator=torch.Generator().manual_seed(1))
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    gradients = torch.autograd.grad((hidden * direction).sum(), weights, allow_unused=True)
    return [hidden.detach(), *(gradient for gradient in gradients if gradient is not None)]


def check_prefix(folder: Path, share: bool) -> str:
    """Hidden states and gradients from cached prompts are those of whole sequences."""
    expected = outputs_and_gradients(ResponseModel(loaded(folder)), batch_of(False), "off")
    for found, one in zip(outputs_and_gradients(opened(folder), batch_of(share), "on"), expected, strict=True):
        expect_close(found, one)
    return "yes"


def check_head(folder: Path) -> str:
    """The head's tensors, scale and soft cap make the model's logits of its hidden states."""
    model = ResponseModel(loaded(folder))
    ids = torch.tensor([SAMPLES[0].prompt_ids])
    rows = torch.arange(ids.shape[1])
    with torch.no_grad():
        expected = model.causal_lm(ids).logits[0]
        hidden = model(ids, torch.ones_like(ids), rows[None], rows, logits=False)
        logits = torch.empty_like(expected)
        project(hidden, model.head, logits, tile=32)
    expect_close(logits, expected)
    head = model.head
    extras = [
        *(["bias"] if head.bias is not None else []),
        *([f"scale {head.scale:.3g}"] if head.scale != 1 else []),
        *([f"soft cap {head.soft_cap:g}"] if head.soft_cap else []),
    ]
    return f"yes ({', '.join(extras)})" if extras else "yes"


def check_decoding(folder: Path) -> str:
    """A batch is decoded greedily to what transformers generates for each prompt alone."""
    model = ResponseModel(loaded(folder))
    if not model.decodes:
        raise UnsupportedError("it takes no KV cache")
    open_windows(model.causal_lm, LONGEST)
    batch = batch_of(share=model.prefix_unsupported_reason is None)
    prefix = encode_prompts(RunConfig(), model, batch, separately=False)
    uniforms = torch.zeros(len(SAMPLES), NEW_TOKENS, dtype=torch.float64)
    tokens = TokenIds(mask=0, eos=EOS, pad=0, count=VOCABULARY)
    found = decode(model, batch, prefix, range(len(SAMPLES)), uniforms, tokens=tokens, temperature=0.0, top_p=1.0)
    theirs, how = (
        AutoModelForCausalLM.from_pretrained(folder).eval(),
        GenerationConfig(max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=EOS, pad_token_id=0),
    )
    for sample, output in zip(SAMPLES, found, strict=True):
        ids = torch.tensor([sample.prompt_ids])
        assert theirs.generate(ids, generation_config=how)[0, ids.shape[1] :].tolist() == output
    return "yes"


def check_export(folder: Path) -> str:
    """A trained adapter, merged and saved, gives the logits of base and adapter in transformers."""
    trained = add_lora(loaded(folder), 2, 4, 0.0, 0)
    generator = torch.Generator().manual_seed(2)
    for name, weight in trained.named_parameters():
        if "lora_B" in name:
            weight.data = torch.randn(weight.shape, generator=generator) * 0.2
    ids = torch.tensor([SAMPLES[0].prompt_ids])
    with torch.no_grad(), TemporaryDirectory() as temporary:
        expected, plain = trained.eval()(ids).logits, loaded(folder)(ids).logits
        trained.save_pretrained(f"{temporary}/adapter")
        merged = merge_adapter(add_adapter(loaded(folder), Path(temporary) / "adapter"), torch.float32)
        merged.save_pretrained(f"{temporary}/merged")
        found = AutoModelForCausalLM.from_pretrained(f"{temporary}/merged").eval()(ids).logits
    assert (expected - plain).abs().max() > 1e-3
    expect_close(found, expected)
    return "yes"


COLUMNS: dict[str, Callable[[Path], str]] = {
    "loads": check_loading,
    "layers with LoRA": check_lora,
    "prompts encoded once": lambda folder: check_prefix(folder, share=False),
    "schemas encoded once": lambda folder: check_prefix(folder, share=True),
    "fused head": check_head,
    "decoding": check_decoding,
    "export": check_export,
}


def check(folder: Path, column: str) -> str:
    """A cell of the table: "yes" with remarks, or "no" with the reason."""
    try:
        return COLUMNS[column](folder)
    except UnsupportedError as reason:
        return f"no: {reason}"
    except Exception as error:  # whatever goes wrong is what the table must say
        first = f"{error}".strip().partition("\n")[0]
        return f"no: {type(error).__name__} {first[:100]}".strip()
