"""21-102: the backfill of observations, linksets, outboxes and tombstones from what is stored.

The work is the runner's own, `lnm backfill`: this file says which one, so that another work is another migration with another
digest, and with it another run. README.md beside it is the operator's page.
"""

from __future__ import annotations

ID = "20251202_lnm_21_102_backfill"
SUMMARY = "Backfills observations, linksets, their events and tombstones from advisory_raw and the merged advisories."
TRANSFORMATION = 1
"""1: OSV 1.x, CSAF 2.0 and NVD 2.0; linkset correlation v1."""
