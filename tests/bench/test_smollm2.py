"""SmolLM2 from its package, with a tiny LLaMA in its place, and what docs/results.md does with it."""

import hashlib
import sys

import pytest
import smollm2
import torch
from helpers.documented import link_project, run_all, write_few_questions
from helpers.pages import BLOCK, RESULTS, of_results
from helpers.tiny_gguf import write_gguf
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from kid.minibench.tiny_models import MODELS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder with smollm2/model, and the LLaMA that it was made from."""
    place = tmp_path_factory.mktemp("place")
    tokenizer = AutoTokenizer.from_pretrained(MODELS / "student")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=2048, tie_word_embeddings=True,
    )  # fmt: skip
    made = LlamaForCausalLM(config).eval()
    download = place / "smollm2"
    (download / "reader").mkdir(parents=True)  # the reader of the tests is installed
    write_gguf(download / smollm2.GGUF, made, tokenizer)
    [page] = of_results("bench/smollm2.py")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        patched.setattr(smollm2, "SHA256", hashlib.sha256((download / smollm2.GGUF).read_bytes()).hexdigest())
        patched.setattr(sys, "argv", ["smollm2.py", *page])
        smollm2.main()
    return place, made


def test_its_logits_and_token_ids_are_those_of_the_file(tiny):
    place, made = tiny
    output = place / "smollm2" / "model"
    read, ids = AutoModelForCausalLM.from_pretrained(output).eval(), torch.arange(4, 60)[None]
    assert read.dtype == torch.float32 and not hasattr(read.config, "quantization_config")
    with torch.no_grad():
        torch.testing.assert_close(read(ids).logits, made(ids).logits, rtol=1e-5, atol=1e-5)
    texts = ["SELECT name FROM singer WHERE age > 1987", " it's  two blanks\n"]
    own = AutoTokenizer.from_pretrained(output)
    assert [own.decode(own(text).input_ids) for text in texts] == texts
    # SmolLM2 splits numbers into digits.
    assert own.convert_ids_to_tokens(own(" 1987").input_ids)[-4:] == [*"1987"]


def test_it_is_trained_and_predicts_as_documented(tiny, minibench, forks):
    place, _ = tiny
    link_project(place)
    write_few_questions(minibench, place)
    (block,) = [text for _, text in BLOCK.findall(RESULTS.read_text(encoding="utf-8")) if "bench/smollm2.py" in text]
    others = block.split("\n", 1)[1]
    assert len(of_results("train/sft.py")) == 1  # the block's
    assert run_all(f"```\n{others}```", place, place, forks) == ["train/sft.py", "bench/predict.py"]
