"""Ollama's HTTP API in front of the engine."""
