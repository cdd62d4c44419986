"""The two outboxes after the backfill: the switch, a reference publisher, and the watch over both (decisions §10, facts 3.4)."""
