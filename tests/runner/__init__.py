"""Tests of the runner: `lnm` as an operator installs it, against a real MongoDB."""
