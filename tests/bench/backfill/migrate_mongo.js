// What migrate-mongo runs in the bench: the observation of each raw document and its event, as a plain migration has it.
//
// It is a port of plain.py as far as JavaScript gets without the readers' libraries: OSV alone; scores, CPEs, the canonical form of
// package URLs, linksets and tombstones are left out. So it does less than half of the work, and its figure flatters it.
import { createHash } from "node:crypto";
import { Long, ObjectId } from "mongodb";

const EVENTS = Buffer.from("5f0c7f0b6f0e5b4c9a531f2f5a1d2102", "hex");
const TICKS_TO_EPOCH = 621355968000000000n;
const sha256 = (data) => createHash("sha256").update(data).digest();
const objectId = (...parts) => new ObjectId(sha256(parts.join("|")).subarray(0, 12));
const unique = (texts) => [...new Set(texts)].sort();
const list = (value) => (value === undefined || value === null ? [] : Array.isArray(value) ? value : [value]);

function uuid5(name) {
  const made = createHash("sha1").update(EVENTS).update(name).digest().subarray(0, 16);
  made[6] = (made[6] & 0x0f) | 0x50;
  made[8] = (made[8] & 0x3f) | 0x80;
  return made.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function affected(entry) {
  const { ecosystem, name, purl } = entry.package ?? {};
  if (!name) return [];
  const said = { package: name, ecosystem, versions: list(entry.versions), ranges: list(entry.ranges) };
  const filled = Object.entries(said).filter(([, value]) => value && value.length !== 0);
  return [{ purl: purl ?? `pkg:${ecosystem.toLowerCase()}/${name}`, ...Object.fromEntries(filled) }];
}

async function payload(db, content, sha) {
  if (content.raw) return content.raw;
  const chunks = await db.collection("documents.chunks").find({ files_id: content.gridFsId }).sort({ n: 1 }).toArray();
  const data = Buffer.concat(chunks.map((chunk) => chunk.data.buffer));
  if (sha256(data).toString("hex") !== sha) throw new Error("the payload is another one");
  return JSON.parse(data);
}

function observation(raw, advisory, before) {
  const [tenant, source, id] = [raw.tenant, raw.source.vendor.toLowerCase(), raw.upstream.upstream_id];
  const sha = raw.upstream.content_hash.slice(7);
  const given = raw.linkset;
  const packages = list(advisory.affected).flatMap(affected);
  const references = list(advisory.references).map((reference) => reference.url);
  const known = raw.identifiers ?? {};
  const names = [id, advisory.id, ...list(advisory.aliases), ...list(known.cve), ...list(known.ghsa), ...list(known.aliases)];
  const fetched = raw.upstream.fetched_at.toISOString().replace(".000Z", "Z");
  const hashed = { advisoryId: id, documentSha: sha, fetchedAt: fetched, source, tenantId: tenant };
  const number = before ? Number(before.observationId.split(":").pop()) + 1 : 1;
  return {
    _id: objectId(tenant, source, id, sha),
    tenantId: tenant,
    source,
    advisoryId: id,
    observationId: `${tenant}:${source}:${id}:${number}`,
    ...(advisory.summary || advisory.details ? { summary: advisory.summary || advisory.details } : {}),
    severities: [],
    affected: packages,
    references: [...new Set(references)],
    relationships: list(advisory.related).map((target) => ({ type: "related", source: id, target })),
    linkset: {
      aliases: unique([...names, ...list(given.aliases)]),
      purls: unique([...packages.map((one) => one.purl), ...list(given.purls)]),
      cpes: unique(list(given.cpes)),
      references: unique([...references, ...list(given.references)]),
    },
    rawLinkset: given,
    provenance: { sourceArtifactSha: sha, fetchedAt: raw.upstream.fetched_at },
    contentHash: raw.upstream.content_hash,
    observationHash: `sha256:${sha256(JSON.stringify(hashed)).toString("hex")}`,
    supersedesId: before ? before._id : null,
    ingestedAt: raw.upstream.fetched_at,
    backfill: { runId: "plain", task: "21-102" },
  };
}

function event(made, source) {
  const { aliases, purls, cpes } = made.linkset;
  return {
    _id: objectId("advisory_observation_events", made._id.toHexString(), made.observationHash),
    eventId: uuid5(`advisory_observations|${made._id.toHexString()}|${made.observationHash}`),
    type: "advisory.observation.updated@1",
    tenantId: made.tenantId,
    observationId: made._id.toHexString(),
    advisoryId: made.advisoryId,
    source: { vendor: source.vendor, stream: source.stream, api: source.api, collectorVersion: source.collector_version },
    linksetSummary: { aliases, purls, cpes },
    supersedesId: made.supersedesId ? made.supersedesId.toHexString() : null,
    documentSha: made.provenance.sourceArtifactSha,
    observationHash: made.observationHash,
    ingestedAt: made.ingestedAt,
    replayCursor: Long.fromBigInt(TICKS_TO_EPOCH + BigInt(made.ingestedAt.getTime()) * 10000n),
    publishedAt: null,
    backfill: made.backfill,
  };
}

export const up = async (db) => {
  const observations = db.collection("advisory_observations");
  const events = db.collection("advisory_observation_events");
  const put = (collection, document) => collection.replaceOne({ _id: document._id }, document, { upsert: true });
  for await (const raw of db.collection("advisory_raw").find({}, { allowDiskUse: true }).sort({ "upstream.fetched_at": 1 })) {
    const same = { tenantId: raw.tenant, source: raw.source.vendor.toLowerCase(), advisoryId: raw.upstream.upstream_id };
    const before = await observations.findOne(same, { sort: { "provenance.fetchedAt": -1 } });
    const made = observation(raw, await payload(db, raw.content, raw.upstream.content_hash.slice(7)), before);
    await put(observations, made);
    await put(events, event(made, raw.source));
  }
};

export const down = async () => {};
