"""Describe, OCR and visual questions over Ollama and Qwen3-VL."""
