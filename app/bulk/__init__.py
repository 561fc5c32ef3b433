"""One task over any number of files: what is still to do, whom to ask, and one line for each."""
