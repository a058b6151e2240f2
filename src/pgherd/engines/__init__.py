"""The places where databases run, behind one contract (`pgherd.contract`)."""
