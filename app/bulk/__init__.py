"""Batches: one task over any number of files, sent to a pool of servers, one line per result."""
