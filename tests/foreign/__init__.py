"""What others sign, by our verifiers, and what we sign, by others: with keys."""
