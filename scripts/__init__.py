"""The build: one artefact = one module = one function. Importable, never shipped."""
