"""The build: each step by itself, and whole builds by doit in a copy of the tree."""
