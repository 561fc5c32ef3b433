"""The one model, as `/api/tags`, `/api/ps` and `/api/show` describe it."""

from typing import Any

VERSION = "0.9.3-embedded"
MODEL = "embedded"
CONTEXT_LENGTH = 32768
CAPABILITIES = ("completion", "vision")
DETAILS = {
    "parent_model": "",
    "format": "onnx",
    "family": "embedded",
    "families": ["embedded"],
    "parameter_size": "7.8M",
    "quantization_level": "F32",
}
NEVER_EXPIRES = "2318-01-01T00:00:00Z"  # what Ollama sends for a model that stays loaded


def model_entry(digest: str, size: int, **more: Any) -> dict[str, Any]:
    """The model's entry in `/api/tags` and `/api/ps`."""
    name = f"{MODEL}:latest"
    return {"name": name, "model": name, "size": size, "digest": digest, "details": DETAILS, **more}


def show_response(modified: str) -> dict[str, Any]:
    """The response of `/api/show`."""
    return {
        "license": "Apache-2.0",
        "modelfile": f"# {MODEL}: the model of `python -m app.embedded`",
        "template": "{{ .Prompt }}",
        "details": DETAILS,
        "model_info": {
            "general.architecture": "embedded",
            "general.basename": "PP-OCRv6 small, Tesseract kor, NanoDet, EfficientNet-Lite0",
            "embedded.context_length": CONTEXT_LENGTH,
        },
        "capabilities": list(CAPABILITIES),
        "modified_at": modified,
    }
