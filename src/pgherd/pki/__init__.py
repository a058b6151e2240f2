"""Certificate authorities and certificates, as values and as files; the time is an argument."""
