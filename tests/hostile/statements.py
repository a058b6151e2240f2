"""Every statement that the local engine and migrations ever send, each with who may send it.

`SUPERUSER` is in database `postgres` alone, where nothing is a tenant's. `NEW` is in a cluster that
is being made: it has no tenant yet. `TENANT` is a login as the service; whatever a tenant has made
may run there, with the tenant's rights. `CONSOLE` is the pooler's. {} stands for what is filled in.
"""

from __future__ import annotations

SUPERUSER = "superuser, in postgres"
NEW = "superuser, in a cluster that is being made"
TENANT = "the service, in its database"
CONSOLE = "the pooler's console"
REWIND = "the role of pg_rewind, in postgres"
MONITOR = "the role that sees statistics, in postgres"

STATEMENTS: dict[str, str] = {
    # looks.py
    "SELECT pg_catalog.pg_is_in_recovery(), EXISTS (SELECT FROM pg_catalog.pg_database WHERE"
    " datname = 'postgres' AND pg_catalog.shobj_description(oid, 'pg_database') = %s)": SUPERUSER,
    "SELECT application_name, state, pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(),"
    " replay_lsn)::pg_catalog.int8, reply_time FROM pg_catalog.pg_stat_replication": SUPERUSER,
    "SELECT pid, xact_start FROM pg_catalog.pg_stat_activity WHERE usename = %s AND xact_start IS"
    " NOT NULL": SUPERUSER,
    "CHECKPOINT": SUPERUSER,
    "SELECT pg_catalog.pg_switch_wal()": SUPERUSER,
    "SELECT pg_catalog.to_regclass('public.alembic_version') IS NOT NULL": TENANT,
    "SELECT pg_catalog.left(version_num::pg_catalog.text, 64) FROM public.alembic_version"
    " LIMIT 1": TENANT,
    # console.py
    "RELOAD": CONSOLE,
    '{} "{}"': CONSOLE,
    "SHOW VERSION": CONSOLE,
    "SHOW POOLS": CONSOLE,
    "SHOW SERVERS": CONSOLE,
    # meter.py
    "SELECT NOT pg_catalog.pg_is_in_recovery() AS is_primary, a.connections, a.active,"
    " a.idle_in_transaction, a.blocked, a.oldest_transaction_seconds, d.xact_commit +"
    " d.xact_rollback AS transactions, d.tup_returned + d.tup_fetched AS rows_read,"
    " d.tup_inserted + d.tup_updated + d.tup_deleted AS rows_written, d.blks_hit AS"
    " blocks_hit, d.blks_read AS blocks_read, d.temp_bytes AS temporary_bytes, d.deadlocks,"
    " (SELECT pg_catalog.max(pg_catalog.age(datfrozenxid)) FROM pg_catalog.pg_database) AS"
    " transaction_age, CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL ELSE"
    " pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0')::pg_catalog.int8"
    " END AS wal_bytes, CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL ELSE (SELECT"
    " pg_catalog.max(pg_catalog.pg_wal_lsn_diff( pg_catalog.pg_current_wal_lsn(),"
    " restart_lsn))::pg_catalog.int8 FROM pg_catalog.pg_replication_slots) END AS"
    " slot_bytes, CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_wal_lsn_diff("
    " pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn()"
    " )::pg_catalog.int8 END AS lag_bytes, CASE WHEN pg_catalog.pg_is_in_recovery() THEN"
    " CASE WHEN pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn()"
    " THEN 0 ELSE pg_catalog.extract('epoch', pg_catalog.clock_timestamp() -"
    " pg_catalog.pg_last_xact_replay_timestamp())::pg_catalog.float8 END END AS lag_seconds"
    " FROM pg_catalog.pg_stat_database d, (SELECT pg_catalog.count(*) AS connections,"
    " pg_catalog.count(*) FILTER (WHERE state = 'active') AS active, pg_catalog.count(*)"
    " FILTER (WHERE state LIKE 'idle in transaction%%') AS idle_in_transaction,"
    " pg_catalog.count(*) FILTER (WHERE wait_event_type = 'Lock') AS blocked,"
    " pg_catalog.extract('epoch', pg_catalog.clock_timestamp() -"
    " pg_catalog.min(xact_start))::pg_catalog.float8 AS oldest_transaction_seconds FROM"
    " pg_catalog.pg_stat_activity WHERE datname = %s AND backend_type = 'client backend') a"
    " WHERE d.datname = %s": MONITOR,
    "SELECT pg_catalog.pg_database_size(%s)": MONITOR,
    # probe.py
    "SELECT pg_catalog.pg_is_in_recovery()": TENANT,
    # preload.py
    "SELECT pg_catalog.pg_read_binary_file(%s, %s, %s, true)": REWIND,
    # serving.py
    "SELECT pg_catalog.current_setting(%s, true), ARRAY(SELECT name::pg_catalog.text"
    " FROM pg_catalog.pg_settings WHERE pending_restart)": SUPERUSER,
    # reader.py
    "SELECT a.oid, a.rolpassword IS NOT NULL, a.rolconnlimit, d.datname,"
    " pg_catalog.left(s.setconfig::pg_catalog.text, 1000) FROM pg_catalog.pg_authid a LEFT JOIN"
    " pg_catalog.pg_db_role_setting s ON s.setrole = a.oid LEFT JOIN pg_catalog.pg_database d ON"
    " d.oid = s.setdatabase WHERE a.rolname = %s": SUPERUSER,
    "SELECT pg_catalog.count(pg_catalog.pg_terminate_backend(a.pid)),"
    " pg_catalog.pg_get_userbyid(%s) FROM"
    " pg_catalog.pg_stat_get_activity(NULL) a WHERE a.usesysid OPERATOR(pg_catalog.=) %s AND ("
    " a.xact_start OPERATOR(pg_catalog.<) (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-)"
    " %s::pg_catalog.interval) OR EXISTS (SELECT FROM pg_catalog.pg_lock_status() l WHERE l.pid"
    " OPERATOR(pg_catalog.=) a.pid AND l.locktype OPERATOR(pg_catalog.<>) ALL"
    " ('{virtualxid,transactionid}') AND l.mode OPERATOR(pg_catalog.<>) ALL"
    " ('{AccessShareLock,SIReadLock}')))": SUPERUSER,
    "ALTER ROLE {} CONNECTION LIMIT 0": SUPERUSER,
    "ALTER ROLE {} PASSWORD NULL CONNECTION LIMIT {}": SUPERUSER,
    "ALTER ROLE {} IN DATABASE {} RESET ALL": SUPERUSER,
    "ALTER ROLE {} RESET ALL": SUPERUSER,
    "ALTER ROLE {} SET {} = {}": SUPERUSER,
    # migrations.py; and Alembic's own, by the same connection
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED": TENANT,
    "SET LOCAL lock_timeout = {}": TENANT,
    "SELECT pg_catalog.pg_advisory_xact_lock({})": TENANT,
    "SET LOCAL statement_timeout = {}": TENANT,
    "SET LOCAL statement_timeout = DEFAULT": TENANT,
    "SELECT pg_catalog.left(version_num::pg_catalog.text, 64) FROM public.alembic_version"
    " LIMIT 2": TENANT,
    "SELECT c.relkind::pg_catalog.text"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = 'public' AND c.relname = 'alembic_version'": TENANT,
    "SELECT pg_catalog.count(*) FROM (SELECT FROM public.alembic_version LIMIT 9) r": TENANT,
}
