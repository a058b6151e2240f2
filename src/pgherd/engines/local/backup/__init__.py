"""Backups of databases on this machine, by pgBackRest.

Each environment has a repository, which belongs to a user of its own: `repository` is root's side
of it. A server of that user takes WAL in and hands it out; one of the data plane's user, which the
agent keeps running, lets backups be taken (`host`). `backups` is the ability of the contract, and
`pgbackrest` alone knows the tool.
"""
