"""What the Messages API says when it refuses: statuses, types, and the body they travel in."""

import msgspec

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "invalid_request_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}

MESSAGES = {
    "authentication_error": "invalid x-api-key",
    "billing_error": "Your credit balance is too low to access the Anthropic API.",
    "permission_error": "Your API key does not have permission to use the specified resource.",
    "not_found_error": "Not found",
    "request_too_large": "Request exceeds the maximum size",
    "rate_limit_error": "This request would exceed your organization's rate limit.",
    "api_error": "Internal server error",
    "timeout_error": "Request timed out",
    "overloaded_error": "Overloaded",
    "invalid_request_error": "Invalid request",
}

PAGE = b"<html><head><title>Blocked</title></head><body><h1>Blocked by a proxy</h1></body></html>"
"""What answers where no Messages API is."""

_encoder = msgspec.json.Encoder()


class ApiError(Exception):
    """A request is refused. `kind` is the error type; unset, it follows from the status.

    `details` are further facts for programs, such as `{"error_code": …}`.
    """

    def __init__(
        self,
        status: int,
        message: str | None = None,
        kind: str | None = None,
        retry_after: float | None = None,
        details: dict[str, str] | None = None,
    ) -> None:
        self.status = status
        self.kind = kind or ERROR_TYPES.get(status, "api_error")
        self.message = message or MESSAGES.get(self.kind, "Error")
        self.retry_after = retry_after
        self.details = details
        super().__init__(f"{status} {self.kind}: {self.message}")


def invalid(message: str) -> ApiError:
    """A 400 `invalid_request_error`."""
    return ApiError(400, message)


def encode_error(
    kind: str, message: str, request_id: str, details: dict[str, str] | None = None
) -> bytes:
    """The JSON body of an error response, and the data of an `error` event."""
    error = {"type": kind, "message": message, **({"details": details} if details else {})}
    return _encoder.encode({"type": "error", "error": error, "request_id": request_id})
