"""The error that every refusal of the API is."""


class ApiError(Exception):
    """A request that Ollama answers with `status` and `{"error": message}`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
