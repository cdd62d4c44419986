"""Benches of 21-102: ours beside the plainest ways to do the same, and beside what other migration tools would make of it."""
