"""Knowledge of models and of Ollama: the catalogue, memory arithmetic, versions, token counts."""
