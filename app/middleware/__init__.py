"""ASGI middleware, and the limits that admission checks."""
