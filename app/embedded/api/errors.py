"""The one exception of the API."""


class ApiError(Exception):
    """Answered with `status` and `{"error": message}`, as Ollama does."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
