"""scripts/sigstore_instance: what it keeps, whom it believes, and that nothing is logged of what it refuses."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import hmac
import http.client
import json
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256

from scripts import canonical
from scripts.errors import InputError
from scripts.sigstore_instance import folder, instance, oidc, server
from scripts.sigstore_instance.instance import IDENTITY, ISSUER, Instance
from scripts.sigstore_instance.keypair import KeyPair
from scripts.sigstore_instance.refusal import RefusedError
from tests.conftest import ROOT
from tests.keyless.conftest import Good

CERTIFICATE, ENTRIES = "/api/v2/signingCert", "/api/v1/log/entries"
PEM, SPKI = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo


# ---- what is kept


def modes(place: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in (place, *place.iterdir())}


def test_the_folder_and_its_files_are_the_owners_alone(tmp_path: Path) -> None:
    place = tmp_path / "instance"
    place.mkdir(mode=0o755)

    instance.load(place)

    assert modes(place) == {"instance": 0o700, "keys.json": 0o600, "log": 0o600}


def test_a_folder_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "file").touch()

    with pytest.raises(InputError, match="file is in it"):
        instance.load(tmp_path)

    assert (stat.S_IMODE(tmp_path.stat().st_mode), [path.name for path in tmp_path.iterdir()]) == (0o755, ["file"])


def test_what_a_killed_process_left_does_not_stop_the_next(tmp_path: Path) -> None:
    (tmp_path / f"{folder.PART}left").write_text("{")

    instance.load(tmp_path)

    assert (tmp_path / folder.KEYS).is_file()


def test_what_is_loaded_again_is_the_same(tmp_path: Path) -> None:
    assert instance.load(tmp_path).trusted_root() == instance.load(tmp_path).trusted_root()


def test_processes_that_make_it_at_once_end_with_the_same_keys(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from scripts.sigstore_instance import instance; inst = instance.load(Path(sys.argv[1]))"
    command = [
        sys.executable,
        "-c",
        f"{code}; print(inst.keys.log.log_id.hex(), inst.keys.authority.log_id.hex())",
        str(tmp_path / "i"),
    ]
    crew = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]

    told = {process.communicate(timeout=60)[0].splitlines()[-1] for process in crew}

    assert len(told) == 1
    assert modes(tmp_path / "i").keys() == {"i", "keys.json", "log"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-10],
        lambda _: b"{}",
        lambda _: b"[]",
        lambda data: data.replace(b"BEGIN CERTIFICATE", b"BEGIN SOMETHING"),
    ],
    ids=["truncated", "empty", "a list", "no certificate"],
)
def test_damaged_keys_are_told_and_no_byte_of_them(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    instance.load(tmp_path)
    path = tmp_path / "keys.json"
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(InputError, match="damaged") as told:
        instance.load(tmp_path)

    assert "PRIVATE" not in str(told.value)
    assert told.value.__cause__ is None


def test_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    instance.load(tmp_path)
    (tmp_path / "keys.json").chmod(0o640)

    with pytest.raises(InputError, match="mode 0640, others can read"):
        instance.load(tmp_path)


# ---- how it is asked


class Client:
    """One connection, and how many entries the log had."""

    def __init__(self, inst: Instance, base: str) -> None:
        self.inst = inst
        self.connection = http.client.HTTPConnection(base.removeprefix("http://"), timeout=10)

    def ask(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """The status, and the JSON or the text."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        self.connection.request(method, path, data, headers or {})
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if answer.headers["Content-Type"] == "application/json" else text.decode()


@pytest.fixture
def client(inst: Instance) -> Iterator[Client]:
    with instance.serving(inst) as base:
        found = Client(inst, base)
        yield found
        found.connection.close()


def csr(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None).public_bytes(PEM)


def by_csr(pem: bytes) -> dict[str, Any]:
    """What sigstore-python sends."""
    return {"certificateSigningRequest": canonical.b64(pem)}


def by_key(key: KeyPair, over: str, token: str | None = None) -> dict[str, Any]:
    """What sigstore-js and cosign send."""
    proven = {
        "publicKey": {"algorithm": "ECDSA", "content": key.public_pem()},
        "proofOfPossession": canonical.b64(key.sign(over.encode())),
    }
    return {"publicKeyRequest": proven} | ({"credentials": {"oidcIdentityToken": token}} if token else {})


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def leaf(answer: Any) -> x509.Certificate:
    return x509.load_pem_x509_certificate(answer["signedCertificateEmbeddedSct"]["chain"]["certificates"][0].encode())


def test_both_shapes_of_a_request_get_a_certificate_for_ten_minutes(client: Client) -> None:
    key, token = KeyPair.make(), client.inst.token()

    answers = [
        client.ask("POST", CERTIFICATE, by_csr(csr(key.private)), bearer(token)),
        client.ask("POST", CERTIFICATE, by_key(key, IDENTITY), bearer(token)),
        client.ask("POST", CERTIFICATE, by_key(key, IDENTITY, token)),
    ]

    for status, answer in answers:
        found = leaf(answer)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        assert (status, found.public_key()) == (200, key.private.public_key())
        assert (names.critical, list(names.value)) == (True, [x509.RFC822Name(IDENTITY)])
        assert found.not_valid_after_utc - found.not_valid_before_utc == dt.timedelta(minutes=10)


def test_an_identity_that_is_no_address_is_a_uri(client: Client) -> None:
    identity = "https://example.invalid/org/repo/.github/workflows/release.yml@refs/heads/main"

    _, answer = client.ask("POST", CERTIFICATE, by_key(KeyPair.make(), identity), bearer(client.inst.token(identity)))

    names = leaf(answer).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier(identity)]


def now() -> int:
    """Asked anew each time: a token of ten minutes does not outlive a whole run of the tests."""
    return int(dt.datetime.now(dt.UTC).timestamp())


def right() -> dict[str, object]:
    """The claims of a token that is right."""
    return {"iss": ISSUER, "aud": "sigstore", "sub": IDENTITY, "iat": now(), "nbf": now(), "exp": now() + 600}


def minted(inst: Instance, **changed: object) -> str:
    """A token by the instance's own key; a claim of None is left out."""
    claims = {name: value for name, value in {**right(), **changed}.items() if value is not None}
    return jwt.encode(claims, inst.keys.tokens.private, "ES256")


def by_secret(secret: bytes) -> str:
    """A token signed HS256, made by hand: PyJWT takes no public key as a secret."""
    header, claims = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "HS256"}, right()))
    mac = base64.urlsafe_b64encode(hmac.digest(secret, header + b"." + claims, "sha256")).rstrip(b"=")
    return b".".join((header, claims, mac)).decode()


FALSE_TOKENS: dict[str, Callable[[Instance], str]] = {
    "expired": lambda inst: minted(inst, exp=now() - 1),
    "not valid yet": lambda inst: minted(inst, nbf=now() + 600),
    "of another issuer": lambda inst: minted(inst, iss="https://oidc.example.invalid"),
    "for another audience": lambda inst: minted(inst, aud="another"),
    "without a subject": lambda inst: minted(inst, sub=None),
    "without an end": lambda inst: minted(inst, exp=None),
    "without an audience": lambda inst: minted(inst, aud=None),
    "without an issuer": lambda inst: minted(inst, iss=None),
    "by another key": lambda _: jwt.encode(right(), KeyPair.make().private, "ES256"),
    "by no key": lambda _: jwt.encode(right(), "", "none"),
    "by the public key as a secret": lambda inst: by_secret(inst.keys.tokens.public_pem().encode()),
    "changed": lambda inst: minted(inst).replace(".", ".e30", 1),
    "empty": lambda _: "",
    "not a token": lambda _: "a.b.c",
}


@pytest.mark.parametrize("make", FALSE_TOKENS.values(), ids=FALSE_TOKENS)
def test_a_token_is_refused_and_not_repeated(make: Callable[[Instance], str], client: Client) -> None:
    token = make(client.inst)

    status, answer = client.ask("POST", CERTIFICATE, by_key(KeyPair.make(), IDENTITY), bearer(token))

    assert (status, answer["code"]) == (401, 16)
    assert re.fullmatch(r"the identity token is refused: \w+", answer["message"])


def forged_csr() -> bytes:
    """One whose signature is another one's."""
    one, two = (x509.load_pem_x509_csr(csr(KeyPair.make().private)) for _ in range(2))
    der = one.public_bytes(serialization.Encoding.DER).replace(one.signature, two.signature)
    der = der if len(one.signature) == len(two.signature) else forged_csr()
    return (
        der
        if der.startswith(b"-----")
        else b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE REQUEST-----\n"
    )


FALSE_REQUESTS: dict[str, tuple[Callable[[], object], str]] = {
    "CSR with another's signature": (lambda: by_csr(forged_csr()), "not signed with its own key"),
    "CSR that is none": (lambda: by_csr(b"nothing"), "no PKCS#10 request"),
    "CSR of another curve": (lambda: by_csr(csr(ec.generate_private_key(ec.SECP384R1()))), "ECDSA on P-256"),
    "CSR of another kind of key": (lambda: by_csr(csr(ed25519.Ed25519PrivateKey.generate())), "ECDSA on P-256"),
    "CSR that is no base64": (lambda: {"certificateSigningRequest": "%"}, "not base64"),
    "CSR that is no text": (lambda: {"certificateSigningRequest": 1}, "wanted text"),
    "proof over another identity": (lambda: by_key(KeyPair.make(), "mallory@lnm-dev.invalid"), "no signature over the identity"),
    "proof by another key": (
        lambda: {
            "publicKeyRequest": {
                **by_key(KeyPair.make(), IDENTITY)["publicKeyRequest"],
                "publicKey": {"content": KeyPair.make().public_pem()},
            }
        },
        "no signature over the identity",
    ),
    "no proof": (
        lambda: {"publicKeyRequest": {"publicKey": {"content": KeyPair.make().public_pem()}}},
        "proofOfPossession: missing",
    ),
    "no key": (lambda: {"publicKeyRequest": {"publicKey": {"content": "nothing"}}}, "no public key in PEM"),
    "nothing": (dict, "publicKeyRequest.publicKey.content: missing"),
    "a list": (list, "missing"),
    "no JSON": (lambda: b"{", "not JSON"),
    "JSON that is too deep": (lambda: b"[" * 100_000, "not JSON"),
}


@pytest.mark.parametrize(("make", "reason"), FALSE_REQUESTS.values(), ids=FALSE_REQUESTS)
def test_a_request_without_proof_of_the_key_gets_no_certificate(make: Callable[[], object], reason: str, client: Client) -> None:
    status, answer = client.ask("POST", CERTIFICATE, make(), bearer(client.inst.token()))

    assert status == 400
    assert reason in answer["message"]


def test_an_identity_that_no_certificate_can_hold_is_refused(client: Client) -> None:
    identity = "bücher@example.invalid"

    status, answer = client.ask("POST", CERTIFICATE, by_key(KeyPair.make(), identity), bearer(minted(client.inst, sub=identity)))

    assert (status, answer["message"]) == (400, "sub: no identity that a certificate can hold")


# ---- entries


def proposed(good: Good) -> dict[str, Any]:
    """What a client proposes for the sums, made of what was logged."""
    entry = json.loads(good.sums_bundle)["verificationMaterial"]["tlogEntries"][0]
    value: dict[str, Any] = json.loads(base64.b64decode(entry["canonicalizedBody"]))
    return value


def proposed_statement(good: Good) -> dict[str, Any]:
    """The same for the manifest."""
    bundle = json.loads(good.manifest_bundle)
    body = json.loads(base64.b64decode(bundle["verificationMaterial"]["tlogEntries"][0]["canonicalizedBody"]))
    content = {"envelope": json.dumps(bundle["dsseEnvelope"]), "verifiers": [body["spec"]["signatures"][0]["verifier"]]}
    return {"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": content}}


def put(value: dict[str, Any], path: str, new: object) -> dict[str, Any]:
    """A copy with one member changed."""
    made = copy.deepcopy(value)
    *above, last = path.split(".")
    place = made
    for name in above:
        place = place[name]
    place[last] = new
    return made


def other_envelope(statement: dict[str, Any], **changed: object) -> dict[str, Any]:
    """The statement's proposal with members of its envelope changed."""
    envelope = json.loads(statement["spec"]["proposedContent"]["envelope"])
    return with_envelope(statement, {**envelope, **changed})


def with_envelope(statement: dict[str, Any], envelope: object) -> dict[str, Any]:
    return put(statement, "spec.proposedContent.envelope", json.dumps(envelope))


def other_certificate(inst: Instance) -> str:
    public = KeyPair.make().private.public_key()
    found = inst.authority.issue(public, IDENTITY, ISSUER, dt.datetime.now(dt.UTC).replace(microsecond=0))
    return canonical.b64(found.public_bytes(PEM))


def ed25519_certificate() -> str:
    key = ed25519.Ed25519PrivateKey.generate()
    name, at = x509.Name([]), dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, at, at + dt.timedelta(1))
    return canonical.b64(builder.sign(key, None).public_bytes(PEM))


def without_a_point(inst: Instance) -> str:
    """A certificate with something else in the place of its key."""
    der = inst.keys.certificate.public_bytes(serialization.Encoding.DER)
    body = base64.encodebytes(der.replace(b"\x03\x42\x00\x04", b"\x03\x42\x00\x05", 1))
    return canonical.b64(b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n")


Change = Callable[[dict[str, Any], dict[str, Any], Instance], object]
FALSE_ENTRIES: dict[str, tuple[Change, str]] = {
    "blob of another digest": (lambda blob, _, __: put(blob, "spec.data.hash.value", "0" * 64), "does not verify"),
    "blob of another algorithm": (lambda blob, _, __: put(blob, "spec.data.hash.algorithm", "sha512"), "spec.data.hash: wanted"),
    "digest in capitals": (lambda blob, _, __: put(blob, "spec.data.hash.value", "A" * 64), "spec.data.hash: wanted"),
    "signature of another form": (lambda blob, _, __: put(blob, "spec.signature.content", "AAAA"), "does not verify"),
    "signature that is no base64": (lambda blob, _, __: put(blob, "spec.signature.content", "%"), "not base64"),
    "another certificate": (
        lambda blob, _, inst: put(blob, "spec.signature.publicKey.content", other_certificate(inst)),
        "does not verify",
    ),
    "certificate that is none": (
        lambda blob, _, __: put(blob, "spec.signature.publicKey.content", "AAAA"),
        "no certificate in PEM",
    ),
    "certificate of another kind": (
        lambda blob, _, __: put(blob, "spec.signature.publicKey.content", ed25519_certificate()),
        "not an ECDSA key",
    ),
    "certificate without a key": (
        lambda blob, _, inst: put(blob, "spec.signature.publicKey.content", without_a_point(inst)),
        "none that can be read",
    ),
    "another kind": (lambda blob, _, __: put(blob, "kind", "rekord"), "apiVersion, kind: wanted"),
    "kind that is no text": (lambda blob, _, __: put(blob, "kind", ["dsse"]), "kind: wanted text"),
    "another version": (lambda blob, _, __: put(blob, "apiVersion", "0.0.2"), "apiVersion, kind: wanted"),
    "no spec": (lambda blob, _, __: {name: blob[name] for name in ("apiVersion", "kind")}, "spec: missing"),
    "another payload": (lambda _, statement, __: other_envelope(statement, payload="AAAA"), "does not verify"),
    "another payload type": (lambda _, statement, __: other_envelope(statement, payloadType="text/plain"), "does not verify"),
    "no signature": (lambda _, statement, __: other_envelope(statement, signatures=[]), "wanted one signature"),
    "no verifier": (lambda _, statement, __: put(statement, "spec.proposedContent.verifiers", []), "wanted one signature"),
    "envelope that is none": (lambda _, statement, __: put(statement, "spec.proposedContent.envelope", "{"), "not JSON"),
    "another's certificate for a statement": (
        lambda _, statement, inst: put(statement, "spec.proposedContent.verifiers", [other_certificate(inst)]),
        "does not verify",
    ),
}


@pytest.mark.parametrize(("change", "reason"), FALSE_ENTRIES.values(), ids=FALSE_ENTRIES)
def test_nothing_is_logged_whose_signature_does_not_verify(change: Change, reason: str, client: Client, good: Good) -> None:
    before = client.inst.log.path.read_bytes()

    status, answer = client.ask("POST", ENTRIES, change(proposed(good), proposed_statement(good), client.inst))

    assert (status, reason in answer["message"]) == (400, True), answer
    assert client.inst.log.path.read_bytes() == before


def test_what_verifies_is_logged_in_the_canonical_form_whatever_else_was_sent(client: Client, good: Good) -> None:
    told = proposed(good)
    told["spec"]["data"]["url"] = "https://example.invalid/"
    told["note"] = "not to be logged"

    status, answer = client.ask("POST", ENTRIES, told)

    ((uuid, found),) = answer.items()
    assert (status, uuid) == (201, client.inst.log.tree.levels[0][-1].hex())
    assert json.loads(base64.b64decode(found["body"])) == proposed(good)
    assert client.ask("POST", ENTRIES, proposed_statement(good))[0] == 201


def test_the_log_tells_its_head_and_its_key(client: Client) -> None:
    status, head = client.ask("GET", "/api/v1/log")

    assert status == 200
    assert (head["treeSize"], head["rootHash"]) == (len(client.inst.log.tree), client.inst.log.tree.root(head["treeSize"]).hex())
    assert client.ask("GET", "/api/v1/log/publicKey") == (200, client.inst.keys.log.public_pem())
    assert client.ask("GET", "/api/v2/trustBundle")[1]["chains"][0]["certificates"][0].startswith("-----BEGIN CERTIFICATE-----")
    assert client.ask("GET", "/api/v2/configuration")[1]["issuers"][0]["issuerUrl"] == ISSUER


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where every value of a JSON document is."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in inside:
        yield from places(member, (*path, name))


def replaced(value: Any, path: tuple[str | int, ...], new: object) -> Any:
    """A copy with the value at a place replaced."""
    if not path:
        return new
    made = copy.copy(value)
    made[path[0]] = replaced(value[path[0]], path[1:], new)
    return made


ODD: tuple[object, ...] = (None, True, 0, -1.5, "", "\ud800", "é", "=", "AAAA", [], [[]], {}, {"kind": "dsse"}, "[" * 5000)


def test_no_odd_value_anywhere_gets_more_than_a_refusal(inst: Instance, good: Good) -> None:
    """A TypeError would be a crash of the connection; «AAAA» for a signature is a refusal, too."""
    token, size, statement = f"Bearer {inst.token()}", len(inst.log.tree), proposed_statement(good)
    requests: list[tuple[Callable[[Any], object], dict[str, Any]]] = [
        (inst.enter, proposed(good)),
        (inst.enter, proposed_statement(good)),
        (lambda told: inst.enter(with_envelope(statement, told)), json.loads(statement["spec"]["proposedContent"]["envelope"])),
        (lambda told: inst.certify(told, token), by_key(KeyPair.make(), IDENTITY)),
        (lambda told: inst.certify(told, token), by_csr(csr(KeyPair.make().private))),
        (lambda told: inst.certify(told, ""), by_key(KeyPair.make(), IDENTITY, inst.token())),
    ]
    unread = {("publicKeyRequest", "publicKey", "algorithm")}
    for ask, request in requests:
        for path in set(places(request)) - unread:
            for odd in ODD:
                with pytest.raises(RefusedError):
                    ask(replaced(request, path, odd))
    assert len(inst.log.tree) == size


# ---- the server


def test_it_listens_on_the_loopback_address_alone(inst: Instance) -> None:
    with instance.serving(inst) as base:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", base)


@pytest.mark.parametrize(
    ("length", "status"), [("x", 411), ("-1", 411), ("²", 411), (str(server.LARGEST_REQUEST + 1), 413), ("0" * 20 + "1", 413)]
)
def test_a_body_of_no_or_too_great_a_length_is_not_read(length: str, status: int, client: Client) -> None:
    client.connection.putrequest("POST", ENTRIES)
    client.connection.putheader("Content-Length", length.encode("utf-8"))
    client.connection.endheaders()

    answer = client.connection.getresponse()

    assert answer.status == status
    assert "message" in json.loads(answer.read())


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", ENTRIES), ("POST", "/api/v2/log/entries"), ("POST", "/")])
def test_what_is_not_there_is_not_found(method: str, path: str, client: Client) -> None:
    status, answer = client.ask(method, path, {} if method == "POST" else None)

    assert (status, answer["code"]) == (404, 5)


def test_a_port_that_is_taken_is_told(inst: Instance) -> None:
    with (
        instance.serving(inst) as base,
        pytest.raises(InputError, match="in use"),
        instance.serving(inst, int(base.rpartition(":")[2])),
    ):
        pass


def test_a_damaged_log_is_told_to_the_client_and_nobody_is_promised_anything(tmp_path: Path, good: Good) -> None:
    inst = instance.load(tmp_path)
    inst.log.path.write_bytes(b"damaged\n")
    with instance.serving(inst) as base:
        client = Client(inst, base)
        status, answer = client.ask("POST", ENTRIES, proposed(good))
        client.connection.close()

    assert (status, answer["message"]) == (500, "log: line 1: the entry is damaged")


# ---- the command


def test_the_command_says_that_it_is_no_transparency_log_and_writes_what_clients_want(tmp_path: Path) -> None:
    place = tmp_path / "instance"
    command = [sys.executable, "-m", "scripts.sigstore_instance", str(place)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(4)]
    base = lines[2].strip()
    with_it = http.client.HTTPConnection(base.removeprefix("http://"), timeout=10)
    with_it.request("GET", "/api/v1/log")
    status = with_it.getresponse().status
    with_it.close()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)

    assert (process.returncode, status, err) == (0, 200, "")
    assert "no transparency log" in lines[0]
    assert "no transparency log" in lines[1]
    assert set(modes(place).values()) == {0o700, 0o600}
    assert json.loads((place / "signing_config.json").read_bytes())["rekorTlogUrls"][0]["url"] == base
    inst = instance.load(place)
    assert json.loads((place / "trusted_root.json").read_bytes()) == inst.trusted_root()
    token = (place / "token").read_text(encoding="ascii")
    assert oidc.subject(inst.keys.tokens, token) == IDENTITY
    assert token not in "".join(lines) + out


def test_the_command_tells_what_is_wrong_in_words(tmp_path: Path) -> None:
    (tmp_path / "instance").write_text("a file")

    done = subprocess.run(
        [sys.executable, "-m", "scripts.sigstore_instance", str(tmp_path / "instance")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )

    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert done.stderr.startswith("error: ")
