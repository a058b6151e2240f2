CREATE ROLE "auth" LOGIN;
CREATE ROLE "auth_ro" LOGIN IN ROLE pg_read_all_data;
ALTER ROLE "auth_ro" SET default_transaction_read_only = on;
SELECT count(*) AS prepared FROM pg_database WHERE datname = 'pgherd prepared' \gset
\if :prepared
ALTER DATABASE "pgherd prepared" RENAME TO "auth";
\else
CREATE DATABASE "auth";
\endif
REVOKE ALL ON DATABASE "auth", postgres, template1 FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE "auth" TO "auth";
GRANT CONNECT ON DATABASE "auth" TO "auth_ro";
CREATE ROLE rewind LOGIN;
GRANT CONNECT ON DATABASE postgres TO rewind;
\connect "auth"
ALTER SCHEMA public OWNER TO "auth";
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) TO "auth";
