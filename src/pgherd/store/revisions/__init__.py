"""How the tables of the store came to be: one module for each change, oldest first.

Each has `revision` and `down_revision`, as Alembic knows them, and an `upgrade` that is handed
the operations. There is no way back: a history that newer code wrote is left for a new one.
"""
