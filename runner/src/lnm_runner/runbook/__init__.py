"""The runbook as code: stages as rows of a table, a journal of what was done, and evidence of it (decisions §10)."""
