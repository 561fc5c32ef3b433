"""A model of the qwen3vl architecture with random weights: enough to tokenize text and pictures."""

from pathlib import Path

import numpy as np
from gguf import GGUFWriter, TokenType

from tests.ollama_daemon.weights import _byte_tokens

DIM = 64
CONTROL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|image_pad|>"),
)


class _File:
    """A GGUF file with tensors of noise."""

    def __init__(self, path: Path, architecture: str) -> None:
        self.file = GGUFWriter(str(path), architecture)
        self._noise = np.random.default_rng(0)

    def tensor(self, name: str, *shape: int) -> None:
        self.file.add_tensor(name, self._noise.normal(0, 0.05, shape).astype(np.float32))

    def linear(self, name: str, rows: int, columns: int) -> None:
        self.tensor(f"{name}.weight", rows, columns)
        self.tensor(f"{name}.bias", rows)

    def close(self) -> None:
        self.file.write_header_to_file()
        self.file.write_kv_data_to_file()
        self.file.write_tensors_to_file()
        self.file.close()


def write_text(path: Path) -> None:
    """The language model (0.2 MB): one layer, a token a byte."""
    told = _File(path, "qwen3vl")
    file, tokens = told.file, [*_byte_tokens(), *CONTROL]
    file.add_context_length(32_768)
    file.add_block_count(1)
    file.add_embedding_length(DIM)
    file.add_feed_forward_length(DIM)
    file.add_head_count(1)
    file.add_head_count_kv(1)
    file.add_key_length(DIM)
    file.add_value_length(DIM)
    file.add_layer_norm_rms_eps(1e-6)
    file.add_rope_freq_base(1e4)
    file.add_rope_dimension_sections([8, 12, 12, 0])
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("qwen2")
    file.add_token_list(tokens)
    kinds = [TokenType.CONTROL if token in CONTROL else TokenType.NORMAL for token in tokens]
    file.add_token_types(kinds)
    file.add_token_merges(["a b"])
    file.add_bos_token_id(tokens.index("<|endoftext|>"))
    file.add_eos_token_id(tokens.index("<|im_end|>"))
    file.add_add_bos_token(False)
    told.tensor("token_embd.weight", len(tokens), DIM)
    told.tensor("output_norm.weight", DIM)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        told.tensor(f"blk.0.{name}.weight", DIM, DIM)
    for name in ("attn_norm", "attn_q_norm", "attn_k_norm", "ffn_norm"):
        told.tensor(f"blk.0.{name}.weight", DIM)
    told.close()


def write_projector(path: Path) -> None:
    """The vision tower (1.4 MB): one layer, patches of 16, four of them a token."""
    told = _File(path, "clip")
    file = told.file
    file.add_bool("clip.has_vision_encoder", True)
    file.add_bool("clip.use_gelu", True)
    file.add_string("clip.projector_type", "qwen3vl_merger")
    sizes = {
        "embedding_length": DIM,
        "feed_forward_length": DIM,
        "block_count": 1,
        "projection_dim": DIM,
        "image_size": 768,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "attention.head_count": 1,
    }
    for name, value in sizes.items():
        file.add_uint32(f"clip.vision.{name}", value)
    file.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-6)
    for name in ("image_mean", "image_std"):
        file.add_array(f"clip.vision.{name}", [0.5, 0.5, 0.5])
    told.tensor("v.patch_embd.weight", DIM, 3, 16, 16)
    told.tensor("v.patch_embd.weight.1", DIM, 3, 16, 16)
    told.tensor("v.patch_embd.bias", DIM)
    told.tensor("v.position_embd.weight", 48 * 48, DIM)
    told.linear("v.blk.0.attn_qkv", 3 * DIM, DIM)
    for name in ("attn_out", "ffn_up", "ffn_down"):
        told.linear(f"v.blk.0.{name}", DIM, DIM)
    for name in ("v.blk.0.ln1", "v.blk.0.ln2", "v.post_ln"):
        told.tensor(f"{name}.weight", DIM)
        told.tensor(f"{name}.bias", DIM)
    told.linear("mm.0", 4 * DIM, 4 * DIM)
    told.linear("mm.2", DIM, 4 * DIM)
    told.close()
