"""Databases on this machine: Patroni, etcd, PgBouncer and PostgreSQL as ordinary processes."""
