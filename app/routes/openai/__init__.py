"""OpenAI's protocol: chat completions and models."""
