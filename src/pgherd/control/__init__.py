"""The loop: observe, decide, act, again until nothing is left; with its clock and its lock."""
