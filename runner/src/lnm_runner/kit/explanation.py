"""A verified kit in plain words: who signed it, under which policy, what is inside, what was checked and what not, how to go on.

It repeats nothing that was not verified: a kit that is refused has no explanation but why.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from lnm_runner.kit import contents, judgement
from lnm_runner.kit.contents import Contents
from lnm_runner.kit.core import PublicKey
from lnm_runner.kit.verification import Verified

SBOM: Final = re.compile(r"sbom/([^/]+)\.spdx\.json")
WHEEL: Final = re.compile(r"runner/(wheelhouse[^/]*)/[^/]+-([^-/]+)\.whl")
MEGABYTE: Final = 1_000_000


class Explanation:
    """What there is to say of one kit."""

    def __init__(self, path: Path, verified: Verified, commands: Sequence[str] = ()) -> None:
        """Reads the kit once more, for its sizes and its SBOMs; `commands` go on from here.

        Raises: ChecksumError where it has changed since it was verified.
        """
        self.verified = verified
        self.commands = commands
        self.report = verified.report
        self.contents: Contents = contents.read(path, verified.report.sums, lambda name: SBOM.fullmatch(name) is not None)

    def as_json(self) -> dict[str, Any]:
        """For a program: what `lnm kit verify --json` says, and what is explained beside it."""
        return {
            **self.verified.as_json(),
            "signatures": self.signatures(),
            "contents": {
                "bytes": sum(self.contents.sizes.values()),
                "folders": self.folders(),
                "packages": self.packages(),
                "wheels": self.wheels(),
            },
            "notChecked": list(self.not_checked()),
            "next": list(self.commands),
        }

    def lines(self) -> list[str]:
        """For people."""
        return [
            *headed("Who signed it", self.who()),
            *headed("Under which policy", self.under()),
            *headed("What it is", self.what()),
            *headed("What is inside", self.inside()),
            *headed("What was checked", self.checked()),
            *headed("What was not checked", self.not_checked()),
            *headed("How to go on", self.commands),
            self.report.lines()[-1],
        ]

    # ---- who

    def signatures(self) -> list[dict[str, Any]]:
        """Who signed what: `{of, by, algorithm, name, role}`; name and role are None without a policy."""
        report = self.report
        rows = [signature("SHA256SUMS and manifest.json", report.signers[0], self.verified)]
        rows += [signature("manifest.json", key, self.verified) for key in report.signers[1:]]
        rows += [signature("the statements below attestations/", key, self.verified) for key in report.attesters]
        for found in self.verified.identities:
            named = {(signer.identity, signer.issuer): signer for signer in self.verified.counted()}
            signer = named.get((found.identity, found.issuer))
            rows.append(
                {
                    "of": "SHA256SUMS and manifest.json",
                    "by": f"{found.identity}, issuer {found.issuer}",
                    "algorithm": found.algorithm,
                    "name": signer.name if signer else None,
                    "role": signer.role if signer else None,
                }
            )
        return rows

    def who(self) -> Iterator[str]:
        """The signatures, in words."""
        for row in self.signatures():
            named = "" if row["name"] is None else f"{row['name']}, {row['role']}: "
            yield f"{row['of']}: {named}{row['by']} ({row['algorithm']})"

    def under(self) -> Iterator[str]:
        """The policy, in words."""
        policy = self.verified.policy
        if policy is None:
            yield "none: any one of the keys that you gave is enough; roles, channel, version and age are not asked about"
            return
        yield f"{policy.path}, version {policy.version}, sha256 {policy.sha256}"
        roles = "".join(f", {number} of them {role}" for role, number in policy.threshold.roles.items() if number)
        yield f"it wants {policy.threshold.signatures} signers{roles}, and a builder's key under everything"
        age = f"at most {policy.kit_max_age_days} days old" if policy.kit_max_age_days else "of any age"
        yield f"it takes channel {' or '.join(sorted(policy.channels))}, version {policy.minimum_version} or newer, {age}"
        if policy.is_development:
            yield "it is a development policy: it also takes what a development key signed, and is not for production"

    # ---- what

    def what(self) -> Iterator[str]:
        """What the signed manifest says of the kit."""
        said = self.report.as_json()
        source, note = said["source"], said["source"]["note"]
        yield f"concelier-lnm-{said['version']}, channel {said['channel']}, made {said['created_at']}"
        yield f"source commit {source['commit'] or 'unknown'} ({source['state']}{f', {note}' if note else ''})"
        yield f"trust {said['trust']}" + (": for trying out, not for production" if said["trust"] == "dev" else "")

    def inside(self) -> Iterator[str]:
        """Deliveries and parts as the manifest tells them, and the files as they are."""
        manifest = self.report.manifest
        yield from (f"delivery {part}" for part in manifest.deliveries)
        yield from (f"part {part}" for part in manifest.parts)
        sizes = self.contents.sizes
        yield f"{counted(len(sizes), 'file')}, {megabytes(sum(sizes.values()))}"
        for folder, found in self.folders().items():
            yield f"{folder}: {counted(found['files'], 'file')}, {megabytes(found['bytes'])}"
        yield from (
            f"runner/{place}: {counted(count, 'wheel')}, for {', '.join(tags)}" for place, count, tags in self.wheelhouses()
        )
        yield from (f"sbom {name}: {counted(count, 'package')}" for name, count in self.packages().items())

    def folders(self) -> dict[str, dict[str, int]]:
        """`{folder: {files, bytes}}` of the folders at the top; `.` has what lies there itself."""
        files, volume = Counter[str](), Counter[str]()
        for name, size in self.contents.sizes.items():
            folder = f"{name.partition('/')[0]}/" if "/" in name else "."
            files[folder] += 1
            volume[folder] += size
        return {folder: {"files": files[folder], "bytes": volume[folder]} for folder in sorted(files)}

    def packages(self) -> dict[str, int]:
        """`{SBOM: how many packages it lists}`."""
        found = ((SBOM.fullmatch(name), data) for name, data in sorted(self.contents.kept.items()))
        return {match[1]: len(json.loads(data).get("packages", [])) for match, data in found if match}

    def wheels(self) -> list[dict[str, Any]]:
        """The wheelhouses: `{folder, wheels, platforms}`."""
        return [{"folder": f"runner/{place}", "wheels": count, "platforms": tags} for place, count, tags in self.wheelhouses()]

    def wheelhouses(self) -> Iterator[tuple[str, int, list[str]]]:
        """Each folder of wheels, how many there are, and the platforms of their names (PyPA, platform compatibility tags)."""
        found = [match for name in self.contents.sizes if (match := WHEEL.fullmatch(name))]
        for place in sorted({match[1] for match in found}):
            tags = [match[2] for match in found if match[1] == place]
            yield place, len(tags), sorted({platform(tag) for tag in tags})

    # ---- what of it is known

    def checked(self) -> Iterator[str]:
        """What the verifiers found right, less what the manifest says and stands above."""
        found = (line.partition(": ")[2] for line in self.verified.lines() if line.startswith("checked: "))
        yield from (line for line in found if not line.startswith(("source ", "channel ", "delivery ", "part ")))

    def not_checked(self) -> Iterator[str]:
        """What nobody has looked at, so that «verified» is not taken for more than it is."""
        yield from self.verified.notes
        if not self.report.identity_bundles:
            yield "an identity signature: the kit has none"
        yield "the insides of wheels, of image layers and of archives: they are the signed bytes, nothing more was looked at"
        yield "whether what the provenance says of the build is true: it is the builder's own word"
        yield "whether an earlier kit here was newer: lnm kit import compares"
        yield "whether it fits your database: lnm preflight does that"
        source = "the policy" if self.verified.policy else "the key"
        yield f"{source} itself: whether it is the right one is known only from the way by which it reached you"


def signature(of: str, key: PublicKey, verified: Verified) -> dict[str, Any]:
    """One signature by a key."""
    signer = None if verified.policy is None else judgement.holder(verified.policy, key)
    return {
        "of": of,
        "by": f"sha256:{key.fingerprint}",
        "algorithm": key.algorithm.name,
        "name": signer.name if signer else None,
        "role": signer.role if signer else None,
    }


def headed(title: str, lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    """A heading, its lines below it, and a blank one."""
    yield title
    yield from (f"  {line}" for line in lines)
    yield ""


def platform(tag: str) -> str:
    """The machine of a wheel's platform tag."""
    return next((machine for machine in ("x86_64", "aarch64") if tag.endswith(machine)), tag)


def megabytes(size: int) -> str:
    """Bytes in words."""
    return f"{size / MEGABYTE:.1f} MB"


def counted(number: int, noun: str) -> str:
    """A number of things in words."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
