"""HTTP client of the server, for the commands. Answers are plain dictionaries."""
