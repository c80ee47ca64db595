"""Train a tokenizer and create tiny untrained models, which the demo and the tests use instead of real ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedTokenizerFast

from kid.config.run_config import RunConfig
from kid.data.annotation import annotate_questions, tokenizer_corpus
from kid.data.reading import load_split, read_schemas

MODELS = Path(__file__).parent / "models"  # student and teacher, made by bench/pretrain_minibench.py
EOS, PAD = "<|endoftext|>", "<|pad|>"
# Each fixed phrase of the prompt is one pretoken, which halves the prompt's length. Other pretokens are a word with the
# character before it, one or two digits, or any other character, so that a model can copy names and values in pieces.
PRETOKEN_REGEX = "|".join(
    [
        r"database schema :|foreign keys :| , columns = \[",
        r" \( (?:integer|text|real|date)(?: \| primary key)? \| values :| \)(?: ,| \])|matched contents :(?: None)?",
        r"[ ._]?\p{L}+| ?\p{N}{1,2}| ?[^\s\p{L}\p{N}]|\s",
    ]
)


def benchmark_texts(benchmark: str, split: str, data: Path) -> list[str]:
    """Texts to train a tokenizer on: each schema part once, and the rest of the prompt and the SQL of each question."""
    config = RunConfig(benchmark=benchmark, data=str(data))
    loaded = load_split(config, split)
    schemas, _ = read_schemas(loaded, config.missing_database)
    texts = annotate_questions(loaded, schemas, config.evidence, f"{benchmark} {split}")
    return tokenizer_corpus(schemas, texts, config.evidence)


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer with at most `vocab_size` entries; like Qwen's, it has no BOS or UNK token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKEN_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[EOS, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=EOS, pad_token=PAD)


def tiny_config(
    family: str, tokenizer: PreTrainedTokenizerFast, vocabulary: int, hidden: int, layers: int, heads: int
) -> PreTrainedConfig:
    """The configuration of a small model; `family` is "qwen2", "llama" or "codegen"."""
    sizes = {
        "hidden_size": hidden,
        "intermediate_size": hidden * 3,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "max_position_embeddings": 2048,
        "rope_theta": 10000.0,
        "tie_word_embeddings": family == "qwen2",  # as in Qwen1.5-0.5B, unlike LLaMA
    }
    if family == "codegen":
        sizes = {"n_embd": hidden, "n_inner": hidden * 3, "n_layer": layers, "n_head": heads, "n_positions": 2048}
        sizes["rotary_dim"] = hidden // heads // 2
    return AutoConfig.for_model(
        family,
        vocab_size=vocabulary,
        initializer_range=0.06,  # training takes minutes; with the usual 0.02, models learn to copy much later
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **sizes,
    )


def write_tiny_model(
    folder: Path,
    tokenizer: PreTrainedTokenizerFast,
    *,
    hidden: int,
    layers: int,
    heads: int,
    seed: int,
    family: str = "qwen2",
    padding: int = 64,
) -> int:
    """Write an untrained model and its tokenizer to `folder`; returns the model's number of parameters.

    padding: the vocabulary size is padded to a multiple of this, as in real models.
    """
    torch.manual_seed(seed)
    vocabulary = -(-len(tokenizer) // padding) * padding
    model = AutoModelForCausalLM.from_config(tiny_config(family, tokenizer, vocabulary, hidden, layers, heads))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model.num_parameters()
