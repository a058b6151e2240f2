"""The ways into a database on this machine: for its service, its readers, operators, pgherd."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pgherd.contract.access import Access, AccessRole
from pgherd.contract.logs import LogLine
from pgherd.engines.local import logs, postgres
from pgherd.engines.local.place import Place
from pgherd.errors import TryLater
from pgherd.fleet.desired import DatabaseId, Pooling
from pgherd.fleet.names import pooled_name


def through_pooler(place: Place, id: DatabaseId, role: AccessRole, pooling: Pooling) -> Access:
    """By certificate, as the service or its read-only role."""
    manifest = place.database(id)
    is_service = role is AccessRole.SERVICE
    user = manifest.service if is_service else manifest.read_only_role
    folder = place.layout.clients(id)
    return Access(
        host=manifest.pooler_address,
        port=manifest.pooler_port,
        database=pooled_name(manifest.service, pooling, read_only=not is_service),
        user=user,
        certificate=folder / f"{user}.crt",
        key=folder / f"{user}.key",
        authority=folder / "data-authority.crt",
    )


async def as_operator(place: Place, id: DatabaseId) -> Access:
    """As superuser, over the primary's Unix socket; TryLater where there is no primary.

    In the service's database, whatever the service has made there would run as superuser.
    """
    manifest = place.database(id)
    leader = manifest.numbered((await place.seen(manifest)).leader or "")
    assert leader  # noqa: S101 - there is one, or TryLater is raised
    return Access(
        host=str(place.layout.socket_folder(id, leader.number)),
        port=manifest.postgresql_port,
        database=postgres.MAINTENANCE,
        user="postgres",
        options="-c search_path=pg_catalog",
        server_user=place.owner.name,
    )


class Reach:
    """The same way in as the services', for they run on this machine too."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def as_service(self, id: DatabaseId) -> Access:
        """Through the pooler by certificate."""
        return through_pooler(self._place, id, AccessRole.SERVICE, Pooling.SESSION)

    async def let_make(self, id: DatabaseId, *, allowed: bool) -> None:
        """Granted and taken back from database postgres, where nothing is the service's."""
        import psycopg
        from psycopg import sql

        from pgherd.engines.local import sessions

        service = sql.Identifier(self._place.database(id).service)
        access = await as_operator(self._place, id)
        try:
            async with await sessions.operator(access) as session:
                if allowed:
                    await session.execute(
                        sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(service, service)
                    )
                else:
                    await session.execute(
                        sql.SQL("REVOKE CREATE ON DATABASE {} FROM {}").format(service, service)
                    )
        except psycopg.Error as error:
            raise TryLater(f"{id}: its primary does not answer: {error}") from error


class Logs:
    """The files that a database's pooler, Patronis and PostgreSQLs write."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def read(
        self, id: DatabaseId, *, instance: str | None = None, lines: int = 50, follow: bool = False
    ) -> AsyncIterator[LogLine]:
        """Lines of all of them, each in the order in which it was written."""
        place = self._place
        place.database(id)
        folder = place.layout.database_log(id)
        return logs.read(place.owner, place.layout.root, folder, instance, lines, follow)
