"""A client of this server, for the commands: one file, one request, answers as plain objects."""
