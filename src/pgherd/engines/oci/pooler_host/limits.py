"""What a service, its reader and the operator may take of a pooler and of a server."""

CLIENTS, SERVICE_CLIENTS, READER_CLIENTS = 10_000, 5_000, 200
"""Clients of the pooler: all, those of one service, those of its reader."""
READER_POOL, OPERATOR_POOL = 5, 2
"""Server connections for each of a database's names."""
BESIDE_SERVICE = READER_POOL + 3 * OPERATOR_POOL
"""What is left of a pool to the reader and the operator. It is theirs alone."""
READER_BACKENDS = 4 * READER_POOL
"""What a server admits of a reader, whoever asks: all poolers, and queries that they gave up."""
READER_QUERY_SECONDS, READER_IDLE_SECONDS = 300, 60
