// sigstore-js as the tests use it: one JSON request on standard input, one JSON answer on standard output.
// {"verify": {"trustedRoot", "identity", "issuer", "rows": {name: {"bundle", "artifact"}}}} -> {name: "" or why it was refused}
// {"sign": {"base", "token", "blob", "statement"}} -> {"blob": bundle, "statement": bundle}
// Bytes are base64; an artifact is null where the bundle holds a statement.
'use strict';
const { bundleFromJSON, bundleToJSON } = require('@sigstore/bundle');
const { TrustedRoot } = require('@sigstore/protobuf-specs');
const { DSSEBundleBuilder, FulcioSigner, MessageSignatureBundleBuilder, RekorWitness } = require('@sigstore/sign');
const { Verifier, toSignedEntity, toTrustMaterial } = require('@sigstore/verify');

const bytes = (text) => Buffer.from(text, 'base64');

function refusal(verifier, policy, { bundle, artifact }) {
  try {
    const parsed = bundleFromJSON(JSON.parse(bytes(bundle)));
    verifier.verify(toSignedEntity(parsed, artifact === null ? undefined : bytes(artifact)), policy);
    return '';
  } catch (error) {
    return `${error.name} ${error.code || ''} ${error.message}`;
  }
}

function verify({ trustedRoot, identity, issuer, rows }) {
  const verifier = new Verifier(toTrustMaterial(TrustedRoot.fromJSON(trustedRoot)));
  const exactly = new RegExp(`^${identity.replace(/[^A-Za-z0-9]/g, '\\$&')}$`);
  const policy = { subjectAlternativeName: exactly, extensions: { issuer } };
  return Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, refusal(verifier, policy, row)]));
}

async function sign({ base, token, blob, statement }) {
  const signer = () => new FulcioSigner({ fulcioBaseURL: base, identityProvider: { getToken: async () => token } });
  const witnesses = [new RekorWitness({ rekorBaseURL: base, majorApiVersion: 1, entryType: 'dsse' })];
  const ofBlob = await new MessageSignatureBundleBuilder({ signer: signer(), witnesses }).create({ data: bytes(blob) });
  const ofStatement = await new DSSEBundleBuilder({ signer: signer(), witnesses, certificateChain: false }).create({
    data: bytes(statement),
    type: 'application/vnd.in-toto+json',
  });
  return { blob: bundleToJSON(ofBlob), statement: bundleToJSON(ofStatement) };
}

async function main() {
  const request = JSON.parse(require('fs').readFileSync(0));
  const answer = request.sign ? await sign(request.sign) : verify(request.verify);
  process.stdout.write(JSON.stringify(answer));
}

main();
