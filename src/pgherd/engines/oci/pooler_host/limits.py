"""What a service, its reader and the operator may take of a pooler and of a server."""

SERVICE_CLIENTS = 5_000
"""Clients of one service, of all that a pooler admits."""
READER_POOL, OPERATOR_POOL = 5, 2
"""Server connections for each of a database's names."""
BESIDE_SERVICE = READER_POOL + 3 * OPERATOR_POOL
"""What is left of a pool to the reader and the operator. It is theirs alone."""
READER_BACKENDS = 4 * READER_POOL
"""What a server admits of a reader, whoever asks: all poolers, and queries that they gave up."""
