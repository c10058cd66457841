"""Hugging Face's GPT-2 in a process of its own, for `benchmarks.generation`."""

import time
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks.other_side import serve

NAMES = {
    "ln_1": "ln_1",
    "ln_2": "ln_2",
    "qkv": "attn.c_attn",
    "attention_out": "attn.c_proj",
    "mlp_in": "mlp.c_fc",
    "mlp_out": "mlp.c_proj",
}
KINDS = {"kernel": "weight", "scale": "weight", "bias": "bias"}


def theirs(name: str) -> str:
    """Hugging Face's name of one of our weights ("block1/qkv_kernel")."""
    holder, _, leaf = name.rpartition("/")
    if leaf in ("wte", "wpe"):
        return f"transformer.{leaf}.weight"
    layer, _, kind = leaf.rpartition("_")
    if not holder:
        return f"transformer.{layer}.{KINDS[kind]}"
    number = int(holder.removeprefix("block")) - 1
    return f"transformer.h.{number}.{NAMES[layer]}.{KINDS[kind]}"


class Side:
    """A model, loaded with given weights."""

    def __init__(self) -> None:
        self.model: Any = None

    def load(self, path: str, threads: int, **config: Any) -> dict[str, Any]:
        torch.set_num_threads(threads)
        return self.take(load_file(path), **config)

    def take(self, weights: dict[str, torch.Tensor], **config: Any) -> dict[str, Any]:
        """Make a model of weights by our names."""
        self.config = GPT2Config(**config)
        self.model = GPT2LMHeadModel(self.config).eval()
        named = {theirs(name): leaf for name, leaf in weights.items()}
        # The output is tied to the embedding.
        missing, unexpected = self.model.load_state_dict(named, strict=False)
        assert set(missing) <= {"lm_head.weight"} and not unexpected, missing
        return {"parameters": sum(p.numel() for p in self.model.parameters())}

    def generate(self, first: np.ndarray, tokens: int) -> dict[str, Any]:
        prompts = torch.tensor(np.asarray(first)).long()[:, None]
        began = time.perf_counter()
        with torch.inference_mode():
            written = _greedy(self.model, prompts, tokens)
        seconds = time.perf_counter() - began
        return {"seconds": seconds, "tokens": written.numpy()}

    def fresh(self, tokens: int) -> dict[str, Any]:
        """New weights and one sequence of theirs, as the paper has it."""
        began = time.perf_counter()
        model = GPT2LMHeadModel(self.config).eval()
        drawn = time.perf_counter() - began
        with torch.inference_mode():
            _greedy(model, torch.zeros((1, 1), dtype=torch.long), tokens)
        return {"seconds": time.perf_counter() - began, "drawn": drawn}


def _greedy(model: Any, prompts: torch.Tensor, tokens: int) -> torch.Tensor:
    # Random networks have no end of text.
    model.generation_config.eos_token_id = None
    return model.generate(
        prompts,
        attention_mask=torch.ones_like(prompts),
        max_new_tokens=tokens,
        do_sample=False,
        pad_token_id=0,
    )


if __name__ == "__main__":
    side = Side()
    serve({"load": side.load, "generate": side.generate, "fresh": side.fresh})
