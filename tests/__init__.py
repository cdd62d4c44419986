"""The tests; what they need of each other they import from here."""
