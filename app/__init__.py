"""Describe, OCR and visual questions over Ollama and Qwen3-VL."""

__version__ = "0.2.0"
