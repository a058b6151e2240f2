"""Pure decisions: what to do, from what is wanted and what is seen. No clock, network or disk."""
