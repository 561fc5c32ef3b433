"""From what a client sent to upright pixels inside the token budget."""
