"""Pages joined into one document."""
