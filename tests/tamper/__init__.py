"""`nox -s tamper`: kits that are broken in every way that we know, before every verifier that we have.

The corpus of tests/faults is told in full. To it come lies that are made of a kit: `files` breaks every file of one, `members` every
member of its manifest, `identities` what is inside the signatures of an identity. `judging` has a verifier judge a lie, `report` counts and prints. Nothing is read of the builder but what it made.
"""
