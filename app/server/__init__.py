"""The process: its connections, its end, its memory."""
