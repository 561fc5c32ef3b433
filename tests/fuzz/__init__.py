"""Fuzzing of what reads bodies and answers: `python -m tests.fuzz --seconds 600`."""
