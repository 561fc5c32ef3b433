"""The client of the engine, which speaks Ollama's API at OLLAMA_HOST."""
