"""The shell scripts, run as a user runs them, in a copy of the checkout."""
