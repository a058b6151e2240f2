"""The local OCI as tests use it: starts on loopback, tells how to reach it, and what happened.

It is strict about the form of each call, by the SDK's own contract, and plays the services' ways
as far as they are documented. It proves that a client and the SDK agree with these, not that OCI
does: that needs a tenancy.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from pgherd.testing.oci import models, planted, signatures
from pgherd.testing.oci.calls import Call, Handler
from pgherd.testing.oci.desk import Desk
from pgherd.testing.oci.rows import Rows
from pgherd.testing.oci.services import Services
from pgherd.testing.oci.shapes import Shape
from pgherd.testing.oci.wire import Wire
from pgherd.testing.oci.world import Resource, World

__all__ = ["Call", "LocalOci", "Shape"]


class LocalOci:
    """A tenancy with a few regions; use it as a context, or `start` and `stop` it."""

    def __init__(
        self,
        regions: Sequence[str] = ("us-ashburn-1", "us-phoenix-1"),
        availability_domains: int = 3,
        delay: float = 0.0,
        port: int = 0,
        rate: float | None = None,
    ) -> None:
        self._world = World(regions, availability_domains, delay)
        self._services = Services(self._world)
        self._desk = Desk(self._world, self._services.handlers())
        self._desk.rate = rate
        self._operations = {name for _, name in self._desk.handlers}
        self._port = port
        self._wire: Wire | None = None
        self._key, self._fingerprint, public = signatures.new_key()
        self._desk.keys[f"{self._world.tenancy}/{self._world.user}/{self._fingerprint}"] = public

    def start(self) -> LocalOci:
        """Listen, and answer from now on."""
        self._wire = Wire(self._desk, self._port)
        self._world.url = f"http://127.0.0.1:{self._wire.port}"
        threading.Thread(
            target=self._wire.serve_forever, args=(0.02,), name="local-oci", daemon=True
        ).start()
        return self

    def stop(self) -> None:
        """End all connections."""
        if self._wire is not None:
            self._wire.end()
            self._wire = None

    def __enter__(self) -> LocalOci:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # How to reach it

    @property
    def url(self) -> str:
        """Services are below it: `URL/r/REGION/SERVICE`, SERVICE being the SDK's package."""
        return self._world.url

    def endpoint(self, service: str, region: str | None = None) -> str:
        """What a client of the SDK takes as its service endpoint."""
        return f"{self.url}/r/{region or self._world.home}/{service}"

    @property
    def config(self) -> dict[str, str]:
        """What the SDK's clients are configured with."""
        return {
            "tenancy": self._world.tenancy,
            "user": self._world.user,
            "fingerprint": self._fingerprint,
            "key_content": self._key,
            "region": self._world.home,
        }

    def variables(self, folder: Path) -> dict[str, str]:
        """The environment variables that point pgherd here; the SDK's configuration is written."""
        configuration = write_configuration(self.config, folder)
        return {"OCI_CONFIG_FILE": str(configuration), "PGHERD_OCI_ENDPOINT": self.url}

    @property
    def regions(self) -> tuple[str, ...]:
        """The subscribed regions, the home region first."""
        return self._world.regions

    # What happened

    @property
    def calls(self) -> list[Call]:
        """All calls in their order; 0 is the status of those that were never answered."""
        return self._desk.calls

    def peak(self, operation: str) -> int:
        """The highest number of resources that one kind of create had under way at once."""
        if operation != "create_db_system":
            raise ValueError("only create_db_system is counted")
        return self._services.systems.peak

    def systems(self) -> list[dict[str, Any]]:
        """All DB systems that are not deleted."""
        return [body for body in self.resources("db_system") if body["lifecycleState"] != "DELETED"]

    def resources(self, kind: str) -> list[dict[str, Any]]:
        """All of a kind, those that are gone too; `region` says where each one is."""
        with self._desk.lock:
            self._world.settle()
            found = list(self._world.of(kind))
            return [{**copy.deepcopy(each.body), "region": each.region} for each in found]

    def rows(self, db_system_id: str) -> Rows:
        """What has been written into a database: append to it."""
        rows: Rows = self._resource(db_system_id).hidden["rows"]
        return rows

    def primary(self, db_system_id: str) -> str:
        """The OCID of the primary node."""
        return str(self._resource(db_system_id).hidden["primary"])

    def secret(self, secret_id: str) -> bytes:
        """The newest version of a secret."""
        value: bytes = self._resource(secret_id).hidden["versions"][-1]["value"]
        return value

    # What is to happen

    @property
    def on_call(self) -> Callable[[Call], None] | None:
        """Called before each call is carried out; raising breaks the connection."""
        return self._desk.on_call

    @on_call.setter
    def on_call(self, hook: Callable[[Call], None] | None) -> None:
        self._desk.on_call = hook

    @property
    def after_call(self) -> Callable[[Call], None] | None:
        """Called after each call, before its answer; raising loses the answer."""
        return self._desk.after_call

    @after_call.setter
    def after_call(self, hook: Callable[[Call], None] | None) -> None:
        self._desk.after_call = hook

    def fail(self, operation: str | None, kind: str, times: int = 1, skip: int = 0) -> None:
        """Let the next calls of an operation (None: of any) go wrong; see `faults`."""
        if operation is not None and operation not in self._operations:
            raise ValueError(f"no such operation: {operation}")
        self._world.faults.plan(operation, kind, times, skip)

    def fail_work(self, kind: str) -> None:
        """Let the next work request of an operation, or operation type, end as FAILED."""
        types = models.model("psql", "WorkRequest").fields["operationType"].allowed
        if kind not in types and kind not in self._operations:
            raise ValueError(f"no such operation or type of work: {kind}")
        self._world.faults.plan_failed_work(kind)

    @property
    def faults_left(self) -> int:
        """How many planned faults have not happened yet."""
        return self._world.faults.left

    def fail_over(self, db_system_id: str) -> str:
        """The service itself moves the primary to another node; the new one."""
        with self._desk.lock:
            system = self._resource(db_system_id)
            others = self._services.systems.nodes.others(system)
            if not others:
                raise ValueError(f"{db_system_id} has no other node")
            new = str(others[0]["id"])
            self._services.systems.nodes.fail_over(system, new)
            return new

    def plant(self, kind: str, region: str, body: Mapping[str, Any]) -> str:
        """Let something exist that somebody else has made; its OCID."""
        with self._desk.lock:
            return planted.plant(self._world, kind, region, dict(body)).id

    def plant_tag_namespace(self, name: str) -> None:
        """Let defined tags of a namespace be taken."""
        self._world.tag_namespaces.add(name)

    def advance(self, seconds: float) -> None:
        """Let time pass: daily backups are taken, retention ends, deletions fall due."""
        with self._desk.lock:
            self._world.offset += timedelta(seconds=seconds)
            self._services.backups.by_policy()
            self._world.settle()

    def set_shapes(self, shapes: Iterable[Shape]) -> None:
        """What `list_shapes` answers, and creates are held to."""
        self._services.shapes.offered = tuple(shapes)

    def set_limit(self, name: str, value: int) -> None:
        """A service limit; see `limits` for the names."""
        if name not in self._services.limits.values:
            raise ValueError(f"no such limit: {name}")
        self._services.limits.values[name] = value

    def set_metric(self, db_system_id: str, name: str, value: float | None) -> None:
        """What Monitoring says of a system's nodes from now on; None: nothing."""
        self._services.monitoring.set(self._resource(db_system_id), name, value)

    def set_rate(self, calls_a_second: float | None) -> None:
        """Throttle above it; None: never."""
        self._desk.rate = calls_a_second

    def _resource(self, id: str) -> Resource:
        return self._world.resources[id]

    @property
    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """What is played, by service and operation."""
        return self._desk.handlers


def write_configuration(config: Mapping[str, str], folder: Path) -> Path:
    """The SDK's configuration file, and the key beside it for its owner only."""
    key = folder / "key.pem"
    key.touch(mode=0o600)
    key.write_text(config["key_content"])
    values = {name: value for name, value in config.items() if name != "key_content"}
    lines = [f"{name}={value}" for name, value in {**values, "key_file": str(key)}.items()]
    path = folder / "config"
    path.touch(mode=0o600)
    path.write_text("\n".join(["[DEFAULT]", *lines, ""]))
    return path
