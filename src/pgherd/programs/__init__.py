"""Texts for the programs that engines run, where several engines need the same. Pure.

Each file imports nothing of pgherd but its neighbours: what an engine sends to a host of its own,
as the one for OCI does with its poolers, must be importable there alone.
"""
