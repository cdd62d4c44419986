"""`lnm preflight [DELIVERY]`: whether server and user are what a delivery needs, before anything is changed. Read-only.

Exit 0 where nothing fails; warnings are told. Else every failed check is told, the first as the error and the others with it.
"""

from __future__ import annotations

from lnm_runner import migrations, mongo
from lnm_runner.commands import Result
from lnm_runner.errors import PreflightError, gathered
from lnm_runner.kit import open_kit
from lnm_runner.options import Options
from lnm_runner.preflight import checks
from lnm_runner.preflight.checks import Checked
from lnm_runner.preflight.look import Look, Status


def run(options: Options) -> Result:
    """Makes the checks for one delivery, or for each that the kit holds.

    Raises: RunnerError.
    """
    _ = options.settings  # a wrong one is told before anything is asked
    kit = open_kit(options.kit_path, options.trust, options.baked_in)
    wanted = tuple(migrations.chosen(kit, options.delivery))
    with mongo.connect(options) as server:
        look = Look(server, wanted, kit, options)
        _ = look.is_open  # refuses early where a user is wanted and none was named
        found = list(checks.checked(look))
    data: dict[str, object] = {
        "deliveries": list(look.deliveries),
        "database": server.database.name,
        "server": {"version": server.version, "topology": server.topology.value},
        "checks": [item.as_json() for item in found],
    }
    failed = [item for item in found if item.verdict is Status.FAIL]
    if failed:
        for item in found:
            if item not in failed:
                options.progress.line(item.line())
        raise gathered([refused(item, data if item is failed[0] else {}) for item in failed])
    warned = sum(item.verdict is Status.WARN for item in found)
    named = ", ".join(look.deliveries)
    said = f"server and user are as {named} needs them: {len(found)} checks, warnings: {warned}. Nothing was written."
    return Result({**data, "warnings": warned}, [*(item.line() for item in found), said])


def refused(item: Checked, data: dict[str, object]) -> PreflightError:
    """A failed check as an error; the first of them carries all that was found."""
    return PreflightError(
        item.check.name,
        item.finding.evidence,
        item.check.needed_by,
        hint=item.finding.remedy,
        facts={**item.as_json(), **data},
    )
