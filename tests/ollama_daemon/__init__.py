"""A real Ollama daemon with tiny made-up models, for tests: see `process.Daemon`."""
