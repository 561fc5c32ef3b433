"""A fake Ollama for the Ollama daemon that does what a script says: see `engine.FakeOllama`."""
