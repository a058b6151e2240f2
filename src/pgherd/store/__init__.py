"""The history of a fleet: what happened, how loaded it was, what is wrong, and what was learnt.

Whoever needs only the values imports `pgherd.store.values`, which loads no database library.
"""
