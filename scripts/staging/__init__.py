"""The rehearsal of the runbook (`nox -s staging`): a real server, users with the kit's own roles, every stage, and second eyes.

`lnm` is used as an operator has it: a program that was installed from the kit, started once a stage. Nothing of it is imported,
and what it says is believed only where `eyes` see the same. Never shipped.
"""
