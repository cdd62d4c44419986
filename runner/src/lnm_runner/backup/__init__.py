"""Backups of one database in mongodump's format: made, judged, proved in a scratch database, and put back (decisions §10)."""
