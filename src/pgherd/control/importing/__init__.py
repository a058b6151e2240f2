"""`import`: a PostgreSQL database from elsewhere becomes a database of the fleet.

`address` says where it comes from, `children` starts all that talks to it, `looker` is one of
these: it looks, counts and prepares on either side. `judging` decides, pure; `copying` has it
copied, `checking` compared; `moving` is the whole.
"""
