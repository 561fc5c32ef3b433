"""The way to the model and back: something that speaks Ollama's API at OLLAMA_HOST."""
