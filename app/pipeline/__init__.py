"""One pipeline for all protocols: plan, run, collect, cache."""
