"""Memory that is free and still the process's: the C library keeps what lies between blocks that are in use (malloc_trim(3)).

sqlite's cache and the driver's buffers come and go in small blocks, so that glibc's heap stays as large as it ever was, for as
long as the process lives. The inventory of 100,000 documents leaves 33 MB of it.
"""

from __future__ import annotations

import contextlib
import ctypes


def give_back() -> None:
    """Gives the system what is free; a C library without such a call keeps it."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
