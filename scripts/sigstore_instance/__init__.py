"""A private Sigstore for development, offline: certificate authority, log and tokens in one process on the loopback address.

It lets an unmodified Sigstore client sign by identity on a machine without network. It is **no transparency log**: whoever
signs here also keeps the log and the certificate authority, and nobody else watches them. What it signs has trust `dev`.
No file of it ever gets into a kit.

Import it where it is used: it loads `cryptography` and `jwt`, which doit must not do at every start.
"""
