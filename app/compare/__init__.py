"""Comparison of models on the same images, over HTTP, with an HTML report."""
