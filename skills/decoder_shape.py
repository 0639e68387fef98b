"""What a decoder's `config.json` says: its sizes, its rotary positions, and which models the engine has not.

A model that differs in a way we do not compute is refused by the name of what differs, never run half right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.core.errors import InputError

_ACTIVATION = {"llama": "silu", "mistral": "silu", "qwen2": "silu", "gemma": "gelu_pytorch_tanh"}
"""The families, with the activation of their feed-forward layers."""


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """The sizes of a decoder.

    `length`: the most positions; `rates`: radians a position for each pair of a head's values, with `amplitude` on
    their cosines and sines; `windows`: how many tokens back each layer looks, -1 for all; `tied`: the embedding is the
    output layer too; `gemma`: norms around one, scaled embeddings, tanh GELU.
    """

    vocabulary: int
    width: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    length: int
    epsilon: float
    rates: tuple[float, ...]
    amplitude: float
    windows: tuple[int, ...]
    tied: bool
    gemma: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> DecoderShape:
        """From a `config.json` of the transformers library.

        Raises:
            InputError: the engine has no such model, or a size is missing; says what.
        """
        try:
            return cls._of(config)
        except KeyError as error:
            raise InputError(f"config.json lacks {error}; expected what save_pretrained writes") from error

    @classmethod
    def _of(cls, config: Mapping[str, Any]) -> DecoderShape:
        family = config.get("model_type")
        if family not in _ACTIVATION:
            raise _refusal(f"a model of type {family!r}")
        gemma = family == "gemma"
        active = (config.get("hidden_activation") if gemma else config.get("hidden_act")) or _ACTIVATION[family]
        rope = {**(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}
        for wrong, what in (
            (active != _ACTIVATION[family], f"the activation {active!r}"),
            (config.get("quantization_config"), "weights that are rounded already"),
            (config.get("use_bidirectional_attention"), "attention in both directions"),
            (
                rope.get("partial_rotary_factor", config.get("partial_rotary_factor", 1)) != 1,
                "heads turned in part",
            ),
        ):
            if wrong:
                raise _refusal(what)
        heads = config["num_attention_heads"]
        head_width = config.get("head_dim") or config["hidden_size"] // heads
        rates, amplitude = rotary(rope, rope.get("rope_theta") or config.get("rope_theta") or 10000.0, head_width)
        return cls(
            vocabulary=config["vocab_size"],
            width=config["hidden_size"],
            inner=config["intermediate_size"],
            layers=config["num_hidden_layers"],
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_width=head_width,
            length=config["max_position_embeddings"],
            epsilon=config["rms_norm_eps"],
            rates=tuple(rates.tolist()),
            amplitude=amplitude,
            windows=_windows(config),
            tied=bool(config.get("tie_word_embeddings", gemma)),
            gemma=gemma,
        )

    @property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """The weights by name, with their shapes; biases, which some models have, are not among them."""
        width, heads, keys = self.width, self.heads * self.head_width, self.kv_heads * self.head_width
        layer = {
            "self_attn.q_proj": (heads, width),
            "self_attn.k_proj": (keys, width),
            "self_attn.v_proj": (keys, width),
            "self_attn.o_proj": (width, heads),
            "mlp.gate_proj": (self.inner, width),
            "mlp.up_proj": (self.inner, width),
            "mlp.down_proj": (width, self.inner),
            "input_layernorm": (width,),
            "post_attention_layernorm": (width,),
        }
        found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocabulary, width)}
        found |= {f"model.layers.{n}.{name}.weight": size for n in range(self.layers) for name, size in layer.items()}
        found["model.norm.weight"] = (width,)
        return found if self.tied else found | {"lm_head.weight": (self.vocabulary, width)}


def rotary(rope: Mapping[str, Any], theta: float, width: int) -> tuple[npt.NDArray[np.float64], float]:
    """How fast each pair of a head turns, and how large its cosines are: plain (Su et al. 2021), `linear`, `llama3`
    (Llama 3.1's stretch of slow pairs) or `yarn` (Peng et al. 2023).

    Raises:
        InputError: another kind.
    """
    rates = theta ** (-np.arange(0, width, 2, dtype=np.float64) / width)
    kind, factor = rope.get("rope_type", rope.get("type", "default")), rope.get("factor") or 1.0
    if kind == "default":
        return rates, 1.0
    if kind == "linear":
        return rates / factor, 1.0
    if kind == "llama3":
        turns = rope["original_max_position_embeddings"] * rates / (2 * math.pi)
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        kept = np.clip((turns - low) / (high - low), 0, 1)
        return rates * (kept + (1 - kept) / factor), 1.0
    if kind == "yarn":
        return _yarn(rope, theta, rates), _yarn_amplitude(rope, factor)
    raise _refusal(f"rotary positions of kind {kind!r}")


def _yarn(rope: Mapping[str, Any], theta: float, rates: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Pairs that turn often in the length the model was trained on keep their rates, slow ones are stretched."""
    width, length = 2 * len(rates), rope["original_max_position_embeddings"]

    def pair(turns: float) -> float:
        """Which pair turns so often in that length."""
        return width * math.log(length / (turns * 2 * math.pi)) / (2 * math.log(theta))

    first, last = pair(rope.get("beta_fast") or 32), pair(rope.get("beta_slow") or 1)
    if rope.get("truncate", True):
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, width - 1)
    stretched = np.clip((np.arange(len(rates)) - first) / max(last - first, 0.001), 0, 1)
    found: npt.NDArray[np.float64] = rates * (1 - stretched + stretched / rope["factor"])
    return found


def _yarn_amplitude(rope: Mapping[str, Any], factor: float) -> float:
    def grown(by: float) -> float:
        return 0.1 * by * math.log(factor) + 1.0 if factor > 1 else 1.0

    if rope.get("attention_factor") is not None:
        return float(rope["attention_factor"])
    scale, every = rope.get("mscale"), rope.get("mscale_all_dim")
    return grown(scale) / grown(every) if scale and every else grown(1.0)


def _windows(config: Mapping[str, Any]) -> tuple[int, ...]:
    """Mistral looks back that far in all layers, Qwen2 in those that `layer_types` or `max_window_layers` tell."""
    layers: int = config["num_hidden_layers"]
    size: int | None = config.get("sliding_window")
    if config["model_type"] not in ("mistral", "qwen2") or not size:
        return (-1,) * layers
    if config["model_type"] == "mistral":
        return (size,) * layers
    first = config.get("max_window_layers", layers) if config.get("use_sliding_window") else layers
    kinds = config.get("layer_types") or ["full_attention"] * first + ["sliding_attention"] * (layers - first)
    return tuple(size if kind == "sliding_attention" else -1 for kind in kinds[:layers])


def _refusal(what: str) -> InputError:
    known = ", ".join(_ACTIVATION)
    return InputError(f"the engine has {known}, but not {what}; serve this model by vLLM or Ollama and set `base_url`")
