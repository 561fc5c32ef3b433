"""Renders the pages of a PDF and checks whether their text layers match what is drawn."""
