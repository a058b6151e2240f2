"""A client in the place of the SDK's, and what it answers; no socket is opened and nobody waits."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import oci

from pgherd.engines.oci.sdk import Cloud


class Client:
    """Gives its answers one after the other, an exception by raising it; the last for ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.calls.append((operation, arguments, options))
            answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


class Pauses(list[float]):
    """Counts the seconds that it is asked to sleep."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


def answer(data: Any = None, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return oci.response.Response(200, named, data, None)


def refusal(status: int, code: str | None = None, message: str | None = None) -> Exception:
    error: Exception = oci.exceptions.ServiceError(status, code, {}, message)
    return error


def cloud(threads: ThreadPoolExecutor, client: Client, service: str = "psql") -> Cloud:
    """A region in which one service is played by `client`."""
    return Cloud(
        "DEFAULT",
        "us-ashburn-1",
        threads,
        endpoint=None,
        sleep=Pauses(),
        _config={"tenancy": "ocid1.tenancy.oc1..own"},
        _clients={(service, None): client},
    )
