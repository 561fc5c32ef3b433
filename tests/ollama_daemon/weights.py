"""Write the weights of a tiny Qwen2.5-VL (or Qwen2) as GGUF that Ollama 0.9.x runs on a CPU.

The model cannot see, but it is not noise. The output head says of each word which one comes next,
and the random layers - so the prompt and the image - choose the word an answer starts with.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quants
from numpy.typing import ArrayLike

DIM, HEADS, FFN = 64, 2, 128  # language model and vision tower alike
VISION_LAYERS = 2
PATCH, MERGE = 14, 2  # one image token covers 28x28 pixels
MAX_IMAGE_TOKENS = 256  # larger images are scaled down to this
EMBEDDING_ROWS = 151656  # Ollama hard-codes the image tokens of Qwen: 151652..151655

END_OF_TEXT, START_OF_TURN, END_OF_TURN = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
NEWLINE = "\u010a"  # as byte-level BPE writes "\n"
SPACE = "\u0120"  # and " "


@dataclass(frozen=True)
class Spec:
    """What to write.

    starts: words an answer may begin with (chosen by prompt and image).
    others: words that only come where a link leads to them; likewise `tags`, which are single
        tokens even where the prompt spells them out (`<think>`).
    links: (token, the next one, strength); 0.8 is certain, less lets a grammar choose.
    silent: tokens without an embedding of their own: after one of them as the last token of the
        prompt, all that reaches the output is what attention gathered from the rest.
    """

    starts: list[str]
    links: list[tuple[str, str, float]]
    others: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    merges: tuple[str, ...] = ("a b",)  # never used, but the list must not be empty
    silent: tuple[str, ...] = (NEWLINE,)
    layers: int = 2
    vision: bool = True
    seed: int = 0

    def tokens(self) -> list[str]:
        """The vocabulary: 256 bytes, control tokens, then what this model can say."""
        control = [END_OF_TEXT, START_OF_TURN, END_OF_TURN]
        merged = [pair.replace(" ", "") for pair in self.merges if pair != "a b"]
        return [*_byte_tokens(), *control, *merged, *self.tags, *self.others, *self.starts]


def write(spec: Spec, path: Path) -> None:
    """Write the GGUF file (11 MB with vision, 0.3 MB without; 0.4 s)."""
    _Gguf(spec, path).write()


def _byte_tokens() -> list[str]:
    """The 256 printable stand-ins of byte-level BPE, in byte order."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    spare = iter(range(256, 512))
    return [chr(b if b in plain else next(spare)) for b in range(256)]


class _Gguf:
    def __init__(self, spec: Spec, path: Path) -> None:
        self.spec = spec
        self.tokens = spec.tokens()
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        self.arch = "qwen25vl" if spec.vision else "qwen2"
        self.rng = np.random.default_rng(spec.seed)
        self.file = GGUFWriter(str(path), self.arch)

    def write(self) -> None:
        self._hyperparameters()
        self._tokenizer()
        self._language_model()
        if self.spec.vision:
            self._vision_tower()
        self.file.write_header_to_file()
        self.file.write_kv_data_to_file()
        self.file.write_tensors_to_file()
        self.file.close()

    def _hyperparameters(self) -> None:
        file = self.file
        file.add_file_type(7)  # mostly Q8_0
        file.add_context_length(32768)
        file.add_block_count(self.spec.layers)
        file.add_embedding_length(DIM)
        file.add_feed_forward_length(FFN)
        file.add_head_count(HEADS)
        file.add_head_count_kv(HEADS)
        file.add_layer_norm_rms_eps(1e-6)
        file.add_rope_freq_base(1e4)
        file.add_rope_dimension_count(DIM // HEADS)

    def _tokenizer(self) -> None:
        file = self.file
        kinds = dict.fromkeys((END_OF_TEXT, START_OF_TURN, END_OF_TURN), TokenType.CONTROL)
        kinds |= dict.fromkeys(self.spec.tags, TokenType.USER_DEFINED)
        file.add_tokenizer_model("gpt2")
        file.add_tokenizer_pre("qwen2")
        file.add_token_list(self.tokens)
        file.add_token_types([kinds.get(token, TokenType.NORMAL) for token in self.tokens])
        file.add_token_merges(list(self.spec.merges))
        file.add_bos_token_id(self.ids[END_OF_TEXT])
        file.add_eos_token_id(self.ids[END_OF_TURN])
        file.add_add_bos_token(False)

    def _language_model(self) -> None:
        spec, count = self.spec, len(self.tokens)
        embedding = np.zeros((EMBEDDING_ROWS if spec.vision else count, DIM), np.float32)
        embedding[:count] = self.rng.normal(0, 1, (count, DIM))
        for token in spec.silent:
            embedding[self.ids[token]] = 0
        self._tensor("token_embd.weight", embedding, GGMLQuantizationType.Q8_0)
        for i in range(spec.layers):
            # Weak layers: their sum must not drown the token's own embedding.
            self._block(f"blk.{i}", (0.5 / spec.layers) ** 0.5, vision=False)
        self._tensor("output_norm.weight", np.ones(DIM))

        # A logit grows when the hidden state looks like the token before it.
        head, bias = np.zeros((count, DIM)), np.full(count, -12.0)
        first = self.ids[spec.starts[0]]
        head[first:] = self.rng.normal(0, 0.3, (len(spec.starts), DIM))
        bias[first:] = 0
        bias[self.ids[END_OF_TURN]] = 0
        for token, following, strength in spec.links:
            head[self.ids[following]] += embedding[self.ids[token]] * strength
        self._tensor("output.weight", head, GGMLQuantizationType.F16)
        if spec.vision:  # Ollama's engine reads this bias, llama.cpp's qwen2 does not
            self._tensor("output.bias", bias)

    def _vision_tower(self) -> None:
        for key, value in {
            "block_count": VISION_LAYERS,
            "embedding_length": DIM,
            "attention.head_count": HEADS,
            "num_channels": 3,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "window_size": 112,
            "max_pixels": MAX_IMAGE_TOKENS * (PATCH * MERGE) ** 2,
        }.items():
            self.file.add_uint32(f"{self.arch}.vision.{key}", value)
        self.file.add_float32(f"{self.arch}.vision.attention.layer_norm_epsilon", 1e-6)
        self.file.add_float32(f"{self.arch}.vision.rope.freq_base", 1e4)
        for frame in (0, 1):  # of the temporal patch
            pixels = self.rng.normal(0, 0.05, (DIM, 3, PATCH, PATCH))
            self._tensor(f"v.patch_embd_{frame}.weight", pixels, GGMLQuantizationType.F16)
        for i in range(VISION_LAYERS):
            self._block(f"v.blk.{i}", 0.5, vision=True)
        merged = DIM * MERGE * MERGE
        self._tensor("v.merger.ln_q.weight", np.ones(DIM))
        self._linear("v.merger.mlp.0", merged, merged, bias=True)
        self._linear("v.merger.mlp.2", DIM, merged, scale=3.0, bias=True)

    def _block(self, prefix: str, out_scale: float, *, vision: bool) -> None:
        norms = ("ln1", "ln2") if vision else ("attn_norm", "ffn_norm")
        for norm in norms:
            self._tensor(f"{prefix}.{norm}.weight", np.ones(DIM))
        for name in ("attn_q", "attn_k", "attn_v"):
            self._linear(f"{prefix}.{name}", DIM, DIM, bias=True)
        attention_out = "attn_out" if vision else "attn_output"
        self._linear(f"{prefix}.{attention_out}", DIM, DIM, scale=out_scale, bias=vision)
        self._linear(f"{prefix}.ffn_gate", FFN, DIM, bias=vision)
        self._linear(f"{prefix}.ffn_up", FFN, DIM, bias=vision)
        self._linear(f"{prefix}.ffn_down", DIM, FFN, scale=out_scale, bias=vision)

    def _linear(
        self, name: str, rows: int, columns: int, *, scale: float = 1.0, bias: bool
    ) -> None:
        values = self.rng.normal(0, scale / columns**0.5, (rows, columns))
        self._tensor(f"{name}.weight", values, GGMLQuantizationType.F16)
        if bias:
            self._tensor(f"{name}.bias", np.zeros(rows))

    def _tensor(
        self,
        name: str,
        values: ArrayLike,
        kind: GGMLQuantizationType = GGMLQuantizationType.F32,
    ) -> None:
        array = np.ascontiguousarray(values, np.float32)
        if kind is not GGMLQuantizationType.F32:
            array = quants.quantize(array, kind)
        self.file.add_tensor(name, array, raw_dtype=kind)
