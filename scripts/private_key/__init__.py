"""A private key that signs, read from its file: one core, of the build (`scripts.keys`) and of the runner, whose wheel has it.

Its modules import each other by relative names alone, as the wheel has them as `lnm_runner.private_key`; beside the standard
library they need cryptography, and PyNaCl for keys that cosign has sealed, imported where they are used. Nothing here prints.
Whoever uses it translates `errors.KeyFileError` into a family of its own. No message holds a byte of a key or a password.
"""
