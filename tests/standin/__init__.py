"""A stand-in for the Ollama daemon that does what a script says: see `engine.StandIn`."""
