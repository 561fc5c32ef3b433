"""A fake Ollama for tests and benchmarks.

`server.FakeOllama` answers, and fails, by the scripts of `script`. `versioned.VersionedOllama` does
what a version of Ollama does with a chat (`versions.Rules`).
"""
