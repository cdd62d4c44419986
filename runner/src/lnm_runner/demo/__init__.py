"""What the product would have stored before the migration, made of advisories: for demonstrations, rehearsals and benches.

`corpus` reads advisories, `synthetic` invents some, `multiply` copies them; `payloads` and `vendors` know the feeds, `components`
what is joined by names; `documents` makes what is stored, `seeding` writes it. Nothing here depends on the time or on chance.
"""

from __future__ import annotations

from lnm_runner.demo.seeding import seed

__all__ = ["seed"]
