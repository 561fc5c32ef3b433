"""Parsers of model output, fed while it streams."""
