"""The program on each host of a pooler tier: it keeps PgBouncer, and what it leads to, as wanted.

Every 15 seconds it reads what is wanted from the instance's metadata, every ten minutes its
secrets from the vault, as the instance that it is. From both follow PgBouncer's files, which are
replaced only where they differ and then loaded without closing a connection, and the roles and
rights that each database must have. All of it may be interrupted anywhere and is done again.
What cannot be read now leaves everything as it was: PgBouncer serves on with what it has.

It travels to the host by itself, in one archive with `programs` (`pooler_archive`), so it imports
nothing else of pgherd, and of others only the OCI SDK, for the one call that reads a secret. For
that, `metadata` has names of databases and roles that `fleet.names` has too.
"""
