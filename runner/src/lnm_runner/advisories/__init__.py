"""Readers of advisories: a format is a file, and a row of the table in `formats`. Pure: a payload in, a record out."""
