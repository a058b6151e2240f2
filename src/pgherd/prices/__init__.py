"""What a place charges: a table with a date and a source, shipped with pgherd or the user's own."""
