CREATE ROLE "auth" LOGIN;
CREATE ROLE "auth_ro" LOGIN;
ALTER ROLE "auth_ro" SET default_transaction_read_only = 'on';
ALTER ROLE "auth_ro" SET statement_timeout = '290s';
ALTER ROLE "auth_ro" SET temp_file_limit = '256MB';
CREATE ROLE replicator LOGIN REPLICATION;
CREATE ROLE rewind LOGIN;
CREATE ROLE pgherd_monitor LOGIN CONNECTION LIMIT 3;
GRANT pg_monitor TO pgherd_monitor;
GRANT EXECUTE ON FUNCTION pg_ls_dir(text, boolean, boolean), pg_stat_file(text, boolean), pg_read_binary_file(text), pg_read_binary_file(text, bigint, bigint, boolean) TO rewind;
SELECT count(*) AS prepared FROM pg_database WHERE datname = 'pgherd prepared' \gset
\if :prepared
ALTER DATABASE "pgherd prepared" RENAME TO "auth";
\else
CREATE DATABASE "auth";
\endif
REVOKE ALL ON DATABASE "auth", postgres, template1 FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE "auth" TO "auth";
GRANT CONNECT ON DATABASE "auth" TO "auth_ro";
GRANT CONNECT ON DATABASE postgres TO rewind, pgherd_monitor;
\connect "auth"
ALTER SCHEMA public OWNER TO "auth";
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO "auth_ro";
ALTER DEFAULT PRIVILEGES FOR ROLE "auth" GRANT USAGE ON SCHEMAS TO "auth_ro";
ALTER DEFAULT PRIVILEGES FOR ROLE "auth" GRANT SELECT ON TABLES TO "auth_ro";
ALTER DEFAULT PRIVILEGES FOR ROLE "auth" GRANT SELECT ON SEQUENCES TO "auth_ro";
SELECT format('REVOKE EXECUTE ON FUNCTION %1$s FROM PUBLIC', oid::regprocedure),
       format('GRANT EXECUTE ON FUNCTION %1$s TO "auth"', oid::regprocedure)
  FROM pg_proc
 WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^(lo_creat|lo_create|lo_from_bytea|pg_logical_emit_message|pg_notify|pg_(try_)?advisory_.*|txid_current|pg_current_xact_id|pg_export_snapshot)$'
   AND has_function_privilege('public', oid, 'EXECUTE') \gexec
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
GRANT USAGE ON LANGUAGE plpgsql TO "auth";
\connect postgres
COMMENT ON DATABASE postgres IS 'complete: made by pgherd';
