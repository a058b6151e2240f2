"""The errors that OCI answers with: a status, a code, a sentence."""

from __future__ import annotations


class Refused(Exception):
    """The call is answered with an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


def invalid(message: str) -> Refused:
    """A value that the service does not take."""
    return Refused(400, "InvalidParameter", message)


def missing(message: str) -> Refused:
    """A required value is not there."""
    return Refused(400, "MissingParameter", message)


def limit_exceeded(message: str) -> Refused:
    """A service limit is reached."""
    return Refused(400, "LimitExceeded", message)


def not_authenticated(message: str) -> Refused:
    """The signature does not hold."""
    return Refused(401, "NotAuthenticated", message)


def not_found(what: str) -> Refused:
    """Not there, or not yours: OCI does not say which."""
    return Refused(
        404,
        "NotAuthorizedOrNotFound",
        f"Authorization failed or requested resource not found: {what}",
    )


def incorrect_state(message: str) -> Refused:
    """The resource is busy, or in use."""
    return Refused(409, "IncorrectState", message)


def conflict(message: str) -> Refused:
    """The wish contradicts what is there."""
    return Refused(409, "Conflict", message)


def stale(message: str) -> Refused:
    """The etag is not the current one."""
    return Refused(412, "NoEtagMatch", message)


def of_kind(kind: str) -> Refused:
    """The answer that a planned fault gives."""
    match kind:
        case "throttled":
            return Refused(429, "TooManyRequests", "Tenancy throttled")
        case "error" | "lost-500":
            return Refused(500, "InternalServerError", "Internal error")
        case "conflict":
            return incorrect_state("The resource is being changed")
        case "stale":
            return stale("The etag does not match")
        case "limit":
            return limit_exceeded("A service limit is reached")
        case "not-found":
            return not_found("by a planned fault")
        case _:
            raise ValueError(f"unknown kind of fault: {kind}")
