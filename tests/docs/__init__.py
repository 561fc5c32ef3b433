"""The documents: what they say is run, what they list is there."""
