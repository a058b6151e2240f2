"""An engine whose databases are only remembered: the whole contract, without a process.

It is honest rather than convenient: each call is made of steps at which it may die, leaves
half-made things behind as programs do, and finishes what an earlier call began. The state
is in a `World`, which a new engine takes over as a new process would.
"""
