"""`python -m scripts.sigstore_instance FOLDER [--port N]`: serves the instance of a folder until it is interrupted.

Beside the instance's own files it writes what clients want: `trust-config.json` (sigstore-python), `trusted_root.json` and
`signing_config.json` (cosign), and `token`, which is good for ten minutes.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from scripts.errors import KitError
from scripts.files import replacing
from scripts.sigstore_instance import instance

WARNING = "This is a development Sigstore instance. It is no transparency log; nobody should trust what it signs."


def main(argv: list[str]) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.sigstore_instance", description=WARNING)
    parser.add_argument("folder", type=Path, help="where the keys and the log are, or will be")
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; a free one where none is named")
    parser.add_argument("--subject", default=instance.IDENTITY, help="whom the token is for (%(default)s)")
    options = parser.parse_args(argv)
    try:
        serve(options.folder, options.port, options.subject)
    except KitError as err:
        print(f"error: {err}", file=sys.stderr)
        return err.exit_code
    return 0


def serve(folder: Path, port: int, subject: str) -> None:
    """Serves until SIGINT or SIGTERM.

    Raises: KitError.
    """
    inst = instance.load(folder)
    # blocked before the first thread is there, so that they wait for sigwait
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    with instance.serving(inst, port) as base:
        documents = {
            "trust-config.json": inst.trust_config(base),
            "trusted_root.json": inst.trusted_root(),
            "signing_config.json": inst.signing_config(base),
        }
        for name, document in documents.items():
            write(folder / name, json.dumps(document, indent=1, sort_keys=True) + "\n")
        write(folder / "token", inst.token(subject))
        print(
            f"{WARNING}\n{base}\nidentity {subject}, issuer {instance.ISSUER}\n{', '.join([*documents, 'token'])} are in {folder}"
        )
        sys.stdout.flush()
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


def write(path: Path, text: str) -> None:
    """Writes a file that its owner alone can read."""
    with replacing(path, mode=0o600) as out:
        out.write(text.encode("ascii"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
