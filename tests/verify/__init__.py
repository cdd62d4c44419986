"""The verifiers, each by itself, and the stage that runs them all."""
