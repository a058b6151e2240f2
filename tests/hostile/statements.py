"""Every statement that engines and migrations ever send, each with who may send it.

`SUPERUSER` is in database `postgres` alone, where nothing is a tenant's. `NEW` is in a cluster that
is being made: it has no tenant yet. `TENANT` is a login as the service; whatever a tenant has made
may run there, with the tenant's rights. `CONSOLE` is the pooler's.
`SOURCE` is at a server elsewhere, whose owner may have laid anything there. {} stands for what is
filled in.
"""

from __future__ import annotations

SUPERUSER = "superuser, in postgres"
NEW = "superuser, in a cluster that is being made"
TENANT = "the service, in its database"
CONSOLE = "the pooler's console"
REWIND = "the role of pg_rewind, in postgres"
SOURCE = "whoever was named, in a database that is imported"
EITHER = "that one there, and the service in the copy"
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
    # backup/points.py
    "SELECT pg_catalog.pg_create_restore_point(%s)::pg_catalog.text,"
    " pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.text": SUPERUSER,
    "SELECT pg_catalog.pg_current_wal_lsn()::pg_catalog.text,"
    " pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.text": SUPERUSER,
    # backup/masking.py; what masks is the operator's own, and sent as the service, too
    "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE context ="
    " 'user' AND name IN ('transaction_timeout', 'idle_in_transaction_session_timeout',"
    " 'idle_session_timeout');": TENANT,
    "BEGIN": TENANT,
    "COMMIT": TENANT,
    "VACUUM (FULL)": TENANT,
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
    " pg_catalog.pg_last_xact_replay_timestamp())::pg_catalog.float8 END END AS lag_seconds,"
    " CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL ELSE pg_catalog.pg_wal_lsn_diff("
    " pg_catalog.pg_current_wal_insert_lsn(), '0/0')::pg_catalog.int8 END AS wal_position,"
    " pg_catalog.pg_current_snapshot()::pg_catalog.text AS snapshot, w.last_archived_wal AS"
    " archived, COALESCE(w.last_failed_time > w.last_archived_time, w.failed_count > 0) AS"
    " fails, r.pid AS receiver, r.received FROM pg_catalog.pg_stat_database d CROSS JOIN"
    " pg_catalog.pg_stat_archiver w LEFT JOIN ( SELECT pid,"
    " pg_catalog.pg_wal_lsn_diff(flush_lsn, '0/0')::pg_catalog.int8 AS received FROM"
    " pg_catalog.pg_stat_replication WHERE application_name = 'pgherd.stream' AND flush_lsn IS"
    " NOT NULL ORDER BY flush_lsn DESC LIMIT 1) r ON true, (SELECT"
    " pg_catalog.count(*) AS connections, pg_catalog.count(*) FILTER (WHERE state = 'active')"
    " AS active, pg_catalog.count(*) FILTER (WHERE state LIKE 'idle in transaction%%')"
    " AS idle_in_transaction,"
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
    # importing/
    "ALTER DATABASE {} RESET default_transaction_read_only": SOURCE,
    "ALTER DATABASE {} SET default_transaction_read_only = on": SOURCE,
    "ALTER SCHEMA public RENAME TO {}": TENANT,
    "ANALYZE": TENANT,
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY": SOURCE,
    "COMMENT ON SCHEMA public IS NULL": TENANT,
    "COMMENT ON SCHEMA public IS {}": TENANT,
    "CREATE EXTENSION {} WITH SCHEMA {}": TENANT,
    "CREATE SCHEMA public": TENANT,
    "CREATE SCHEMA {}": TENANT,
    "DROP SCHEMA {} CASCADE": TENANT,
    "GRANT CREATE ON DATABASE {} TO {}": SUPERUSER,
    "REVOKE CREATE ON DATABASE {} FROM {}": SUPERUSER,
    "SELECT 'event trigger', evtname::text FROM pg_catalog.pg_event_trigger UNION ALL"
    " SELECT 'publication', pubname::text FROM pg_catalog.pg_publication UNION ALL"
    " SELECT 'setting of the database', c FROM pg_catalog.pg_db_role_setting s JOIN"
    " pg_catalog.pg_database d ON d.oid = s.setdatabase, pg_catalog.unnest(s.setconfig)"
    " c WHERE d.datname = pg_catalog.current_database() AND s.setrole = 0 AND c !~"
    " '^default_transaction_read_only=' ORDER BY 1, 2 LIMIT 100": EITHER,
    "SELECT COALESCE(pg_catalog.sum(s.n_tup_ins + s.n_tup_upd + s.n_tup_del),"
    " 0)::pg_catalog.int8 FROM pg_catalog.pg_stat_all_tables s WHERE s.schemaname !~"
    " '^pg_' AND s.schemaname <> 'information_schema'": SOURCE,
    "SELECT EXISTS (SELECT FROM ONLY {}.{})": TENANT,
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s JOIN"
    " pg_catalog.pg_database d ON d.oid = s.setdatabase WHERE s.setrole = 0 AND"
    " d.datname = pg_catalog.current_database() AND 'default_transaction_read_only=on'"
    " = ANY (s.setconfig))": SOURCE,
    "SELECT a.pid FROM pg_catalog.pg_stat_activity a WHERE a.datname ="
    " pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid() AND"
    " a.usesysid IS NOT NULL AND COALESCE(a.backend_type, 'client backend') = 'client"
    " backend'": SOURCE,
    "SELECT c.relkind::text, n.nspname::text, c.relname::text,"
    " (pg_catalog.pg_relation_size(c.oid) /"
    " pg_catalog.current_setting('block_size')::int4)::int8,"
    " pg_catalog.pg_table_size(c.oid) FROM pg_catalog.pg_class c JOIN"
    " pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm',"
    " 'f') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <>"
    " 'information_schema' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE"
    " e.classid = 'pg_catalog.pg_class'::regclass AND e.objid = c.oid AND e.deptype ="
    " 'e') ORDER BY 2, 3": EITHER,
    "SELECT e.extname::text, n.nspname::text FROM pg_catalog.pg_extension e JOIN"
    " pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql'"
    " ORDER BY 1": EITHER,
    "SELECT e.name::text FROM pg_catalog.pg_available_extensions e JOIN"
    " pg_catalog.pg_available_extension_versions v ON v.name = e.name AND v.version ="
    " e.default_version WHERE v.trusted": EITHER,
    "SELECT n.nspname::text FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_'"
    " AND n.nspname <> 'information_schema' AND NOT EXISTS (SELECT FROM"
    " pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_namespace'::regclass AND"
    " e.objid = n.oid AND e.deptype = 'e') ORDER BY 1": EITHER,
    "SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata": EITHER,
    "SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_xacts p WHERE p.database ="
    " pg_catalog.current_database()": SOURCE,
    "SELECT pg_catalog.count(*), pg_catalog.sum(('x' ||"
    " pg_catalog.left(pg_catalog.encode("
    " pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.textin(pg_catalog.record_out(t.*)),"
    " 'UTF8')) , 'hex'), 16))::pg_catalog.bit(64)::pg_catalog.int8)::pg_catalog.text"
    " FROM ONLY {}.{} t": EITHER,
    "SELECT pg_catalog.count(*), pg_catalog.sum(('x' ||"
    " pg_catalog.left(pg_catalog.encode("
    " pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.textin(pg_catalog.record_out(t.*)),"
    " 'UTF8')) , 'hex'), 16))::pg_catalog.bit(64)::pg_catalog.int8)::pg_catalog.text"
    " FROM ONLY {}.{} t WHERE t.ctid >= {}::pg_catalog.tid AND t.ctid <"
    " {}::pg_catalog.tid": EITHER,
    "SELECT pg_catalog.count(*), pg_catalog.sum(('x' ||"
    " pg_catalog.left(pg_catalog.encode( pg_catalog.sha256(pg_catalog.lo_get(o.oid)),"
    " 'hex'), 16))::pg_catalog.bit(64) ::pg_catalog.int8)::pg_catalog.text FROM"
    " pg_catalog.pg_largeobject_metadata o": EITHER,
    "SELECT pg_catalog.count(pg_catalog.lo_unlink(o.oid)) FROM"
    " pg_catalog.pg_largeobject_metadata o": TENANT,
    "SELECT pg_catalog.current_database()::pg_catalog.text": SOURCE,
    "SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4,"
    " pg_catalog.pg_database_size(d.oid),"
    " pg_catalog.pg_encoding_to_char(d.encoding)::text, d.datname::text,"
    " d.datcollate::text FROM pg_catalog.pg_database d WHERE d.datname ="
    " pg_catalog.current_database()": EITHER,
    "SELECT pg_catalog.max(pg_catalog.obj_description(n.oid, 'pg_namespace')) FROM"
    " pg_catalog.pg_namespace n WHERE n.nspname = 'public'": EITHER,
    "SELECT pg_catalog.pg_export_snapshot()": SOURCE,
    "SELECT pg_catalog.pg_terminate_backend(%s)": SOURCE,
    "SELECT pg_catalog.pg_try_advisory_lock({})": TENANT,
    "SELECT s.schemaname::text, s.sequencename::text, s.last_value FROM"
    " pg_catalog.pg_sequences s ORDER BY 1, 2": EITHER,
    "SET search_path = pg_catalog, pg_temp; SET statement_timeout = '15min'; SET"
    " lock_timeout = '60s'; SET idle_in_transaction_session_timeout = 0; SET"
    " default_transaction_read_only = off; SET row_security = off; SET client_encoding"
    " = 'UTF8'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET"
    " TimeZone = 'UTC'; SET extra_float_digits = 3; SET bytea_output = 'hex'; SET"
    " lc_monetary = 'C'; SET xmlbinary = 'base64'": EITHER,
    "SET statement_timeout = 0": TENANT,
    "SET {} = 0": EITHER,
    "WITH x(class, oid, kind, name) AS ( SELECT 'pg_foreign_data_wrapper'::regclass,"
    " oid, 'foreign data wrapper', fdwname FROM pg_catalog.pg_foreign_data_wrapper"
    " UNION ALL SELECT 'pg_foreign_server'::regclass, oid, 'foreign server', srvname"
    " FROM pg_catalog.pg_foreign_server UNION ALL SELECT 'pg_class'::regclass, oid,"
    " 'foreign table', relname FROM pg_catalog.pg_class WHERE relkind = 'f' UNION ALL"
    " SELECT 'pg_proc'::regclass, p.oid, 'function of a library', p.proname FROM"
    " pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang WHERE"
    " l.lanname IN ('c', 'internal') UNION ALL SELECT 'pg_proc'::regclass, oid,"
    " 'leakproof function', proname FROM pg_catalog.pg_proc WHERE proleakproof UNION"
    " ALL SELECT 'pg_type'::regclass, oid, 'base type', typname FROM pg_catalog.pg_type"
    " WHERE typtype = 'b' AND typcategory <> 'A' UNION ALL SELECT"
    " 'pg_opclass'::regclass, oid, 'operator class', opcname FROM pg_catalog.pg_opclass"
    " UNION ALL SELECT 'pg_opfamily'::regclass, oid, 'operator family', opfname FROM"
    " pg_catalog.pg_opfamily UNION ALL SELECT 'pg_am'::regclass, oid, 'access method',"
    " amname FROM pg_catalog.pg_am UNION ALL SELECT 'pg_language'::regclass, oid,"
    " 'language', lanname FROM pg_catalog.pg_language UNION ALL SELECT"
    " 'pg_ts_parser'::regclass, oid, 'text search parser', prsname FROM"
    " pg_catalog.pg_ts_parser UNION ALL SELECT 'pg_ts_template'::regclass, oid, 'text"
    " search template', tmplname FROM pg_catalog.pg_ts_template UNION ALL SELECT"
    " 'pg_cast'::regclass, oid, 'cast without a function',"
    " castsource::regtype::text::name FROM pg_catalog.pg_cast WHERE castmethod = 'b' )"
    " SELECT x.kind, x.name::text FROM x WHERE x.oid >= 16384 AND NOT EXISTS (SELECT"
    " FROM pg_catalog.pg_depend e WHERE e.classid = x.class AND e.objid = x.oid AND"
    " e.deptype = 'e') ORDER BY 1, 2 LIMIT 100": EITHER,
    # engines/oci/looking.py, in a copy that was restored
    "DO $$ DECLARE one pg_catalog.text; forced pg_catalog.bool; counted pg_catalog.int8;"
    " tables pg_catalog.int8 := 0; unread pg_catalog.int8 := 0; counts pg_catalog.int8 := 0;"
    " BEGIN FOR one, forced IN SELECT pg_catalog.format('%I.%I', n.nspname, c.relname),"
    " c.relforcerowsecurity FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON"
    " n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm') AND c.oid >= 16384 AND"
    " c.relpersistence = 'p' AND c.relispopulated AND pg_catalog.pg_has_role(c.relowner,"
    " 'MEMBER') LOOP tables := tables + 1; IF forced THEN -- its policies say who is asking,"
    " and nobody is unread := unread + 1; CONTINUE; END IF; EXECUTE"
    " pg_catalog.concat('SELECT pg_catalog.count(*) FROM ONLY ', one) INTO counted; counts"
    " := counts + counted; COMMIT; -- so that the locks of no more than one are held END"
    " LOOP; PERFORM pg_catalog.set_config('pgherd.tables', tables::pg_catalog.text, false),"
    " pg_catalog.set_config('pgherd.unread', unread::pg_catalog.text, false),"
    " pg_catalog.set_config('pgherd.rows', counts::pg_catalog.text, false); END $$": TENANT,
    "DO $$ DECLARE checking pg_catalog.text; one pg_catalog.oid; checked pg_catalog.int8 :="
    " 0; BEGIN SELECT pg_catalog.format('SELECT %I.%I($1)', n.nspname, p.proname) INTO"
    " checking FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_depend d ON d.refclassid ="
    " 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid AND d.classid ="
    " 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'e' JOIN pg_catalog.pg_proc"
    " p ON p.oid = d.objid JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE"
    " e.extname = 'amcheck' AND p.proname = 'bt_index_check' AND p.pronargs = 1 AND"
    " pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND"
    " pg_catalog.has_function_privilege(p.oid, 'EXECUTE'); IF checking IS NULL THEN PERFORM"
    " pg_catalog.set_config('pgherd.indexes', '', false); RETURN; END IF; FOR one IN SELECT"
    " c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_am a ON a.oid = c.relam JOIN"
    " pg_catalog.pg_index i ON i.indexrelid = c.oid WHERE c.relkind = 'i' AND a.amname ="
    " 'btree' AND c.oid >= 16384 AND c.relpersistence = 'p' AND i.indisvalid AND"
    " i.indisready AND pg_catalog.pg_has_role(c.relowner, 'MEMBER') LOOP EXECUTE checking"
    " USING one::pg_catalog.regclass; checked := checked + 1; COMMIT; END LOOP; PERFORM"
    " pg_catalog.set_config('pgherd.indexes', checked::pg_catalog.text, false); END $$": TENANT,
    "SELECT pg_catalog.set_config('search_path', 'pg_catalog', false),"
    " pg_catalog.set_config('default_transaction_read_only', 'on', false),"
    " pg_catalog.set_config('lock_timeout', '10s', false),"
    " pg_catalog.set_config('statement_timeout', '3600s', false)": TENANT,
    "SELECT pg_catalog.current_setting('pgherd.tables')::pg_catalog.int8,"
    " pg_catalog.current_setting('pgherd.unread')::pg_catalog.int8,"
    " pg_catalog.current_setting('pgherd.rows')::pg_catalog.int8": TENANT,
    "SELECT NULLIF(pg_catalog.current_setting('pgherd.indexes'), '')::pg_catalog.int8": TENANT,
    "SELECT 1": TENANT,
}
