"""What the server costs beside others, over real sockets: `python -m benchmarks.wire`."""
