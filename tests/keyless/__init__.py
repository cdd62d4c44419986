"""Signing by identity against the development instance, and how its signatures can lie."""
