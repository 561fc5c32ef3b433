"""Scripts for maintainers: `python -m tools.NAME`."""
