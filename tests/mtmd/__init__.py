"""llama.cpp's own picture code (libmtmd), which Ollama's engine runs: see `library`."""
