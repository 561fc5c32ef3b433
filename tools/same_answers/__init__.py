"""Compare the answers of two commits, request by request: `python -m tools.same_answers -h`.

Use it for a change that must not change behaviour. Both servers run in front of the same engine and
receive the same bytes. The script compares status, headers, body, the requests to the engine, and
the log line. The engine, the requests and the packages are those of the working tree; of the other
commit only `server.py` runs.
"""
