"""A strict OCI on loopback, for tests of what speaks to OCI by its official SDK."""
