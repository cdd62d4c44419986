"""What a client of the instance gets told when its request is refused; nothing of it reaches a user of the build."""

from __future__ import annotations

from http import HTTPStatus


class RefusedError(Exception):
    """A request that is not carried out: an HTTP status of the 400s, and one sentence without anything secret."""

    def __init__(self, message: str, *, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        """Keeps the status beside the sentence."""
        super().__init__(message)
        self.message = message
        self.status = status
