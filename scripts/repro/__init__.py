"""The reproducibility stage (`nox -s repro`): builds again with everything varied, compares, and names what made a difference."""
