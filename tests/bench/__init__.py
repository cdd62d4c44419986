"""Measures this project beside stock tools: `nox -s bench`; docs/performance.md tells what each row is."""
