"""Small tokenizers with the class, the splitting and the special tokens of a model family's own."""

import json

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CodeGenTokenizer, LlamaTokenizer, PreTrainedTokenizerFast, Qwen2Tokenizer

FAMILIES = ("qwen", "codegen", "llama")


def family_tokenizer(family: str, lines: list[str]) -> PreTrainedTokenizerFast:
    """A tokenizer of 400 entries, trained on these lines."""
    if family == "llama":
        bpe = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
        bpe.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
        special = ["<unk>", "<s>", "</s>", *[f"<0x{byte:02X}>" for byte in range(256)]]
        bpe.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False))
        model = json.loads(bpe.to_str())["model"]
        return LlamaTokenizer(
            vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]], add_bos_token=True
        )
    kind = {"qwen": Qwen2Tokenizer, "codegen": CodeGenTokenizer}[family]
    empty = kind(vocab={"<|endoftext|>": 0}, merges=[])
    return empty.train_new_from_iterator(lines, 400, show_progress=False)
