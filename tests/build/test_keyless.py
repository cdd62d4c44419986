"""A kit that an identity signed beside the key: by the development instance, in real builds; and what goes wrong without an identity."""

from __future__ import annotations

import base64
import importlib.metadata
import json
import re
import shutil
import sys
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts import keyless
from scripts.errors import InputError
from scripts.keyless import DEVELOPMENT, PUBLIC, Signer
from scripts.keys import KeySource
from scripts.repro import checkout, compare, workplace
from scripts.sigstore_instance import instance
from tests.build.test_secrets import hits
from tests.build.trees import Tree
from tests.conftest import ROOT

SUMS, MANIFEST = "SHA256SUMS.keyless.sigstore.json", "manifest.keyless.sigstore.json"
BOTH = [f"manifest:{MANIFEST}", f"signatures:{SUMS}"]
PAGE = (ROOT / "docs/kit-format.md").read_text(encoding="utf-8").split("### Signatures by identity")[1].split("\n## ")[0]
DASH = "\N{EM DASH}"
NO_WAY_OUT = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}  # the port «discard», where nobody listens


def by_identity(tree: Tree, folder: Path) -> Tree:
    """A copy of a tree, with a copy of its builder's state, in which the development instance signs."""
    shutil.copytree(tree.root, folder / "tree", symlinks=True)
    shutil.copytree(tree.environment["XDG_STATE_HOME"], folder / "state")
    copy = Tree(folder / "tree", tree.version, {**tree.environment, "XDG_STATE_HOME": str(folder / "state")})
    return copy.variant(LNM_SIGN="keyless", LNM_SIGSTORE=DEVELOPMENT)


@pytest.fixture(scope="module")
def identified(built: Tree, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A tree that was built by key and identity, behind a proxy that leads nowhere. Nobody changes it."""
    tree = by_identity(built, tmp_path_factory.mktemp("identified"))
    said = tree.variant(**NO_WAY_OUT).bundle()
    assert "SHA256SUMS is signed by builder@lnm-dev.invalid of https://oidc.lnm-dev.invalid (development Sigstore)" in said.err
    return tree


def signed(tree: Tree) -> dict[str, bytes]:
    return {name: (tree.kit / name).read_bytes() for name in (SUMS, MANIFEST)}


def test_both_verifiers_accept_it_and_say_what_they_did_not_check(identified: Tree) -> None:
    key = identified.dist / "signing-key.pub"
    by_python = identified.run(sys.executable, "bundle-layout/verify_kit.py", "--key", key, identified.kit)
    in_json = identified.run(sys.executable, "bundle-layout/verify_kit.py", "--json", "--key", key, identified.tarball)
    by_shell = identified.run("sh", "bundle-layout/verify.sh", key, identified.tarball)

    for said in (by_python, by_shell):
        assert said.code == 0, said.text
        assert "\nidentity signature: not checked here\n" in said.out
    assert (in_json.code, json.loads(in_json.out)["identity"]) == (0, "not checked here")
    assert json.loads(in_json.out)["trust"] == "dev"


def test_the_envelope_comes_first_in_the_tarball(identified: Tree) -> None:
    with tarfile.open(identified.tarball) as archive:
        names = [member.name.partition("/")[2] for member in archive if member.isfile()]

    assert names[6:8] == [SUMS, MANIFEST]


def test_both_files_are_the_form_of_the_page(identified: Tree) -> None:
    forms = re.findall(r"^    (\{.+|\"verificationMaterial.+)$", PAGE, re.MULTILINE)
    numbers, hashes = "(0|[1-9][0-9]{0,18})", "[A-Za-z0-9+/]{43}="
    fields = {
        "<b64 of SHA-256 of SHA256SUMS>": hashes,
        "<b64 of manifest.json>": re.escape(base64.b64encode(identified.manifest.encode()).decode()),
        "<timestamp>": "",
        "<hashes>": f'("{hashes}"(,"{hashes}")*)?',
        "<checkpoint>": rf"[ -~]+\\n{numbers}\\n{hashes}\\n\\n{DASH} [!-~]+ [A-Za-z0-9+/=]+\\n",
        "<b>": "[A-Za-z0-9+/]+={0,2}",
        "<h>": hashes,
        "<n>": numbers,
    }
    for (name, data), form, kind in zip(signed(identified).items(), forms[:2], ("hashedrekord", "dsse"), strict=True):
        pattern = re.escape(form.replace("<material>", forms[2]).replace("<kind>", kind))
        for field, expression in fields.items():
            pattern = pattern.replace(re.escape(field), expression)
        assert re.fullmatch(pattern + "\n", data.decode("utf-8")), name


def test_provenance_of_the_tarball_tells_who_signed_with_what(identified: Tree) -> None:
    bundle = json.loads(Path(f"{identified.tarball}.provenance.sigstore.json").read_bytes())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    steps = statement["predicate"]["buildDefinition"]["internalParameters"]["steps"]

    told = {step["step"]: step for step in steps if step["step"].startswith("scripts.keyless.")}
    assert set(told) == {"scripts.keyless.write_blob", "scripts.keyless.write_statement"}
    assert all(step["tools"]["sigstore"] == importlib.metadata.version("sigstore") for step in told.values())
    assert all(task["settings"] == {"sigstore": DEVELOPMENT} for step in told.values() for task in step["tasks"])
    assert all("scripts/sigstore_instance/log.py" in step["code"] for step in told.values())


def test_what_is_up_to_date_is_not_signed_again(identified: Tree) -> None:
    before = signed(identified)

    said = identified.bundle()

    assert said.made == []
    assert signed(identified) == before


def test_another_list_another_instance_and_no_identity(identified: Tree, built: Tree, tmp_path: Path) -> None:
    """One tree for three builds: each takes its time."""
    tree = by_identity(identified, tmp_path)
    first = signed(tree)

    tree.append("bundle-layout/README.md", "\nOne more line.\n")
    assert set(BOTH) <= set(tree.bundle().made)
    assert all(signed(tree)[name] != data for name, data in first.items())
    assert tree.verify().code == 0

    shutil.rmtree(tmp_path / "state/lnm-build/sigstore")
    remade = tree.bundle().made
    assert set(BOTH) <= set(remade)
    assert "signatures:SHA256SUMS.sig" not in remade
    assert tree.verify().code == 0

    shutil.copy(built.root / "bundle-layout/README.md", tree.root / "bundle-layout/README.md")
    alone = tree.variant(LNM_SIGN=None, LNM_SIGSTORE=None)
    said = alone.run(sys.executable, "-X", "importtime", "-m", "doit", "bundle")
    assert said.code == 0, said.text
    assert re.search(r"\| +scripts\.keyless$", said.err, re.MULTILINE)
    assert not re.search(r"\| +(sigstore|jwt|pydantic|requests)(\.|$)", said.err, re.MULTILINE)
    assert not any((alone.kit / name).exists() for name in (SUMS, MANIFEST))
    assert alone.tarball.read_bytes() == built.tarball.read_bytes()


def test_no_token_and_no_key_of_the_instance_is_left_or_said(identified: Tree) -> None:
    folder = Path(identified.environment["XDG_STATE_HOME"]) / "lnm-build/sigstore"
    token = instance.load(folder).token()
    private = re.findall(r"PRIVATE KEY-----\\n([A-Za-z0-9+/=]{64})\\n", (folder / "keys.json").read_text())
    needles = [token.split(".")[0].encode(), *map(str.encode, private)]
    said = [identified.doit("dumpdb"), identified.doit("info", f"signatures:{SUMS}"), identified.bundle()]

    assert len(private) == 4
    assert hits(identified.root, needles) == []
    assert not [needle for answer in said for needle in needles if needle.decode() in answer.text]


def test_no_verdict_of_reproducibility_is_about_it(identified: Tree, built: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LNM_SIGN", "keyless")
    monkeypatch.setenv("LNM_SIGSTORE", "development")
    monkeypatch.setenv("LNM_SIGNING_KEY", "/own.pem")

    environment = workplace.surroundings(identified.root)
    held = checkout.hold(identified.root, compare.look(built.root))

    assert {"LNM_SIGN", "LNM_SIGSTORE"} & set(environment) == set()
    assert environment["LNM_SIGNING_KEY"] == "/own.pem"
    assert held.note == "the kit in artifacts/lnm is signed by an identity too, and no two such signatures are alike"


# ---- no identity


def unsigned_token() -> str:
    """What looks like a token for Sigstore and was signed by nobody."""
    now = int(time.time())
    claims = {"iss": "https://gitlab.com", "sub": "planted-subject", "aud": "sigstore", "iat": now, "exp": now + 600}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({"alg": "RS256"}, claims)]
    return ".".join([*parts, "cGxhbnRlZC1zaWduYXR1cmU"])


def test_a_build_that_gets_no_identity_says_so_before_it_makes_anything(sources: Tree) -> None:
    said = sources.variant(LNM_SIGN="keyless", **NO_WAY_OUT).doit("bundle")  # should the machine have one: nothing goes public

    assert said.code != 0
    assert "LNM_SIGN=keyless: nothing here gives this build an identity to sign with" in said.err
    assert "id-token: write" in said.err
    assert said.err.rstrip().endswith("[exit 2]")
    assert said.made == []
    assert not sources.kit.exists()


def test_services_that_cannot_be_reached_leave_the_kit_as_it_was_and_the_token_unsaid(identified: Tree, tmp_path: Path) -> None:
    tree, token = by_identity(identified, tmp_path), unsigned_token()
    before = signed(tree)
    variables = {"GITLAB_CI": "true", "SIGSTORE_ID_TOKEN": token, "LNM_SIGSTORE": PUBLIC, **NO_WAY_OUT}

    said = tree.variant(**variables).doit("bundle")

    assert said.code != 0
    assert "Sigstore's trusted root: TUFError: " in said.err
    assert said.err.rstrip().endswith("[exit 10]")
    assert "Traceback" not in said.text
    assert signed(tree) == before
    needles = [part.encode() for part in token.split(".")]
    assert hits(tree.root, needles) == []
    assert not [needle for needle in needles if needle.decode() in said.text]
    assert tree.verify().code == 0


# ---- settings

KEY = KeySource(path=Path("own.pem"), state_folder=Path("/state"))
DEVELOPMENT_KEY = KeySource(path=None, state_folder=Path("/state"))
INSTANCE = Signer(DEVELOPMENT, Path("/state/sigstore"))


@pytest.mark.parametrize(
    ("environment", "signer"),
    [
        ({}, None),
        ({"LNM_SIGN": ""}, None),
        ({"LNM_SIGN": "key", "LNM_SIGSTORE": "development"}, None),
        ({"LNM_SIGN": "keyless"}, Signer(PUBLIC)),
        ({"LNM_SIGN": "keyless", "LNM_SIGSTORE": "public"}, Signer(PUBLIC)),
        ({"LNM_SIGN": "keyless", "LNM_SIGSTORE": "development"}, INSTANCE),
    ],
)
def test_who_signs_is_read_from_the_environment(environment: Mapping[str, str], signer: Signer | None) -> None:
    assert keyless.source(environment, KEY) == signer


@pytest.mark.parametrize("environment", [{"LNM_SIGN": "Keyless"}, {"LNM_SIGN": "keyless", "LNM_SIGSTORE": "staging"}])
def test_another_value_is_refused_by_its_name(environment: Mapping[str, str]) -> None:
    name, value = list(environment.items())[-1]
    with pytest.raises(InputError, match=f"{name}: found '{value}', wanted "):
        keyless.source(environment, KEY)


@pytest.mark.parametrize(
    ("key", "signer", "trust"),
    [
        (KEY, None, "key"),
        (KEY, Signer(PUBLIC), "keyless"),
        (KEY, INSTANCE, "dev"),
        (DEVELOPMENT_KEY, None, "dev"),
        (DEVELOPMENT_KEY, Signer(PUBLIC), "dev"),
        (DEVELOPMENT_KEY, INSTANCE, "dev"),
    ],
)
def test_trust_is_that_of_the_least_signature(key: KeySource, signer: Signer | None, trust: str) -> None:
    assert keyless.trust(key, signer) == trust
