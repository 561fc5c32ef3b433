"""Compare the answers of two commits, request by request: `python -m tools.same_answers -h`.

For a change that is to leave the behaviour as it is. Both servers stand in front of the same
engine, and are sent the same bytes. Compared are the status, the headers, the body, what the engine
was asked, and the log line of the request. Everything that the new commit brings is taken from it
(the engine, the requests, the packages); of the old one only `server.py` is run.
"""
