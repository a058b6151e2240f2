"""The loop: observe, decide, act. The only owner of time."""
