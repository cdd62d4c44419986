"""Whether what a backfill has left fits together: `equations` is the table, `skeleton` what it is asked of. Read-only."""
