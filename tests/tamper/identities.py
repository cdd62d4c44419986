"""Lies inside the identity signatures of a kit, which verifiers of a single file do not judge: `lnm kit verify` with a policy does.

The policy demands a builder's key and the identity of the development instance; the lies are those of tests/keyless/bundle_lies.py,
each told in the one form of a keyless file, where it can be.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from scripts.sigstore_instance import instance
from scripts.sigstore_instance.instance import Instance
from tests.faults.checksum_lies import exactly
from tests.faults.controls import Control
from tests.faults.forge import MANIFEST, MANIFEST_KEYLESS, SUMS, SUMS_KEYLESS, Kit, kit, sha256
from tests.faults.keys import MAIN
from tests.faults.registry import FOLDER, Lie, Told
from tests.faults.verdicts import accepted
from tests.faults.verifiers import LNM, POLICY, verify_here
from tests.keyless import bundle_lies
from tests.runner.policies import BUILDER, identified, text
from tests.tamper.judging import VERIFIERS

FILES = {"sums": SUMS_KEYLESS, "manifest": MANIFEST_KEYLESS}
ROW, KIN = "C14", "identity: every lie of tests/keyless"
FORM = "not in (its|the) one form"
POLICY_SAYS = "the policy names"
INSIDE = "does not verify|trusted root's .* was valid|this host's clock"
ROOT_FILE = "trusted_root.json"


class Identified:
    """A kit that a key and an identity have signed, and the policy that demands both."""

    def __init__(self, state: Path) -> None:
        """Signs it by an instance whose keys are made in the folder."""
        self.inst: Instance = instance.load(state)
        self.kit = kit(MAIN)
        _, sums, _, manifest = bundle_lies.good_pair(self.inst, self.kit.files[SUMS], self.kit.files[MANIFEST])
        self.good = {"sums": sums, "manifest": manifest}
        self.root = json.dumps(self.inst.trusted_root()).encode()

    @property
    def policy(self) -> bytes:
        """The forge's kits have a fixed date, hence no limit to their age."""
        workflow = identified(instance.IDENTITY, instance.ISSUER)
        root = f"[trusted-root]\nfile = '{ROOT_FILE}'\nsha256 = '{sha256(self.root)}'\n"
        return text(BUILDER, workflow, root, threshold={"signatures": 2, "builder": 1, "security": 1}, kit_max_age_days=0)

    def tell(self, bundles: dict[str, bytes], place: Path) -> Told:
        """The kit with these bundles; the policy and its root beside it."""
        told = Kit(files=dict(self.kit.files), signers=self.kit.signers)
        told.files |= {FILES[of]: bundle for of, bundle in {**self.good, **bundles}.items()}
        (place / POLICY).write_bytes(self.policy)
        (place / ROOT_FILE).write_bytes(self.root)
        return told.write_folder(place), told.keys

    def cases(self) -> Iterator[tuple[Lie | Control, tuple[str, ...]]]:
        """The good kit, and all lies, with those who must judge them; each is made here, as it needs the instance's log."""
        yield Control("kit with an identity's signature", FOLDER, partial(self.tell, {})), VERIFIERS
        for lie in (*bundle_lies.LIES, *bundle_lies.BEYOND, *bundle_lies.FORM):
            told = partial(self.tell, {lie.of: lie.make(self.good[lie.of], self.inst)})
            is_formed = self.is_formed(told)
            code = 5 if not is_formed or re.search("identity|issuer", lie.name) else 7
            reasons = (exactly(FILES[lie.of]), FORM if not is_formed else POLICY_SAYS if code == 5 else INSIDE)
            yield Lie(f"identity {lie.name}", ROW, code, reasons, FOLDER, told, KIN), (LNM,) if is_formed else VERIFIERS

    def is_formed(self, told: Callable[[Path], Told]) -> bool:
        """Whether a lie is told in the form of a keyless file about this kit: then only what is inside gives it away."""
        with tempfile.TemporaryDirectory(prefix="k") as folder:
            path, keys = told(Path(folder))
            return accepted(verify_here(Path(folder), keys, path))
