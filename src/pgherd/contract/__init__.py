"""The contract between pgherd and the places where databases run.

An engine is asked for wanted ends (`ensure_...`), never given commands: each call may be
repeated, interrupted at any point and repeated again, and leads to the same end. What an
engine observes is plain data; what it cannot see is `Unknown`, which is never "not there".
Engines translate every error of a library or program into the tree of `pgherd.errors`.
"""
