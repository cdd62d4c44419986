"""The runbook as an operator has it: whole rehearsals, by `lnm` as it was installed from the kit, on a real server."""
