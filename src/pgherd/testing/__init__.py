"""For authors of engines: an in-memory engine and the crash-everywhere harness."""
