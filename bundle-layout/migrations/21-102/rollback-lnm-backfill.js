// Takes 21-102 back with nothing but mongosh, and means what `lnm rollback 21-102` means: each can go on where the other stopped.
//
//   mongosh "mongodb://USER@HOST:27017/?replicaSet=NAME&tls=true&authSource=concelier" rollback-lnm-backfill.js
//
// says what it would do. With EXECUTE=1 before it, it does so. The user needs the role lnmRollback21102 of runbook/roles/.
// What can be set before it:
//
//   CONCELIER_DB        the database (concelier)
//   EXECUTE             1: do it
//   FORCE_REASON        why it goes on although events were published; published events are then left, and listed
//   LNM_LEASE_SECONDS   how long the lease lasts that is not renewed (30)
//
// Exit codes: 0 done · 2 refused, nothing was changed · 3 documents were left, or it stopped half-way · 9 another runner is at
// work · 10 try again · 1 anything else. The same command again goes on, and does nothing where all is done.
//
// Rules. (1) One runner at a time, by the lease of `lnm`: only the server's clock counts, each acquisition has a higher epoch,
// and every write is in a transaction that touches a fence of that epoch. (2) Runs go newest first; of each: events, linksets,
// observations, tombstones. (3) A document is removed, or set back to what an earlier run had made, where the SHA-256 of its BSON
// bytes is the one that the backfill has written down; it is hashed and changed in one transaction. (4) Any other is left, and
// listed in lnm_backfill_errors. (5) A row of lnm_checkpoints remembers what of it is taken back. (6) Bytes come from the server
// as they are (`raw`); a shell that does not hand them out is refused, and nothing is ever hashed that the shell has encoded.
(async () => {
  const crypto = require("crypto");
  const os = require("os");

  const MIGRATION = "20251202_lnm_21_102_backfill";
  const LEDGER = "lnm_migrations", UPSTREAM = "schema_migrations", LEASE = "lnm_lease";
  const RUNS = "lnm_runs", CHECKPOINTS = "lnm_checkpoints";
  const ERRORS = "lnm_backfill_errors", BEFORE = "lnm_backfill_before";
  const EVENTS = ["advisory_observation_events", "advisory_linkset_events"];
  const ORDER = [
    { collection: EVENTS[0], stage: "observations" },
    { collection: EVENTS[1], stage: "linksets" },
    { collection: "advisory_linksets", stage: "linksets" },
    { collection: "advisory_observations", stage: "observations" },
    { collection: "advisory_linkset_tombstones", stage: "tombstones" },
  ];
  const FENCE = "21-102/rollback";
  const CHUNK = 200; // rows that are forgotten at once
  const WAIT_MS = 5000, LONGEST_WAIT_MS = 65000; // the server ends a transaction that was left open after 60 s, unless changed
  const SAY_EVERY_MS = 5000;

  const name = process.env.CONCELIER_DB || "concelier";
  const reason = process.env.FORCE_REASON || "";
  const mongo = db.getMongo();
  mongo.setReadPref("primary"); // whatever the URI says
  mongo.setReadConcern("local");
  mongo.setWriteConcern({ w: "majority", j: true });
  const database = mongo.getDB(name);
  const of = (collection, where = database) => where.getCollection(collection);

  // An object with the same fields, and what `change` makes of each value.
  function eachOf(fields, change) {
    return Object.fromEntries(Object.entries(fields).map(([field, value]) => [field, change(value, field)]));
  }

  function refusal(exitCode, message, hint) {
    return Object.assign(new Error(message), { exitCode, hint });
  }

  // ---- the lease and its fences

  const seconds = Number(process.env.LNM_LEASE_SECONDS || 30);
  const owner = { host: os.hostname(), pid: process.pid, run: crypto.randomUUID().replaceAll("-", "") };
  const later = { $dateAdd: { startDate: "$$NOW", unit: "millisecond", amount: Long.fromNumber(seconds * 1000) } };
  let epoch = null; // of the lease that is held
  let until = 0; // when it runs out at the latest, by the clock here

  async function acquire() {
    const asked = Date.now();
    const claimed = await of(LEASE).find({ epoch: { $type: "number" } }, { epoch: 1 }).sort({ epoch: -1 }).limit(1).toArray();
    const taken = {
      epoch: { $add: [{ $max: ["$epoch", claimed.length ? claimed[0].epoch : Long.fromNumber(0)] }, Long.fromNumber(1)] },
      owner: { $literal: owner },
      purpose: { $literal: "rollback 21-102, by mongosh" },
      acquiredAt: "$$NOW",
      renewedAt: "$$NOW",
      expiresAt: later,
    };
    const update = [
      { $set: { free: { $lte: [{ $ifNull: ["$expiresAt", new Date(0)] }, "$$NOW"] } } },
      { $set: eachOf(taken, (value, field) => ({ $cond: ["$free", value, `$${field}`] })) },
      { $unset: "free" },
    ];
    const row = await of(LEASE).findOneAndUpdate({ _id: "runner" }, update, { upsert: true, returnDocument: "after" });
    if (!row.owner || row.owner.run !== owner.run) {
      const { pid, host } = row.owner ?? {};
      const who = `process ${pid} on ${host}, «${row.purpose}», epoch ${row.epoch}`;
      const end = EJSON.stringify(row.expiresAt);
      throw refusal(9, `another runner is at work: ${who}`, `wait for it; where it is gone, its lease runs out at ${end}`);
    }
    epoch = row.epoch;
    until = asked + seconds * 1000;
  }

  function gone() {
    const hint = "nothing more was written by this one; look who does: db.lnm_lease.findOne({_id: 'runner'})";
    return refusal(9, `this runner no longer holds the lease (epoch ${epoch})`, hint);
  }

  const mine = () => ({ _id: "runner", epoch, "owner.run": owner.run });

  async function renew() {
    const sent = Date.now();
    const held = { ...mine(), $expr: { $gt: ["$expiresAt", "$$NOW"] } };
    const done = await of(LEASE).updateOne(held, [{ $set: { renewedAt: "$$NOW", expiresAt: later } }]);
    until = done.matchedCount ? sent + seconds * 1000 : 0;
  }

  async function check() {
    if (until - Date.now() < seconds * 667) await renew(); // two attempts of three may fail
    if (Date.now() >= until) throw gone();
  }

  async function release() {
    await of(LEASE).updateOne(mine(), [{ $set: { releasedAt: "$$NOW", expiresAt: "$$NOW" } }]);
  }

  async function claim(partition) {
    const begun = Date.now();
    for (;;) {
      await check();
      try {
        const free = { _id: `fence:${partition}`, epoch: { $lte: epoch } };
        await of(LEASE).updateOne(free, { $set: { epoch } }, { upsert: true, maxTimeMS: WAIT_MS });
        return;
      } catch (error) {
        if (error.code === 11000) throw gone(); // DuplicateKey: a later epoch has claimed it
        if (error.code !== 50) throw error; // MaxTimeMSExpired
      }
      if (Date.now() - begun > LONGEST_WAIT_MS) {
        const message = "a transaction that another runner has left open is not ended by the server";
        throw refusal(10, message, "run the same command again");
      }
      print("waiting for the server to end the transaction of a runner that is gone; that takes up to a minute");
    }
  }

  // From here on no worker of an earlier epoch can write into any partition of the backfill.
  async function claimAll() {
    await claim("21-102");
    await claim(FENCE);
    const fences = await of(LEASE).find({ _id: /^fence:21-102\//, epoch: { $lt: epoch } }, { _id: 1 }).toArray();
    for (const fence of fences) await claim(fence._id.replace("fence:", ""));
  }

  // Does the writes of `work` behind a fence, or none of them; `work` may be called again.
  async function transaction(partition, work) {
    await check();
    const session = mongo.startSession();
    const inside = session.getDatabase(name);
    let done; // not what withTransaction returns, which in mongosh 1 is the server's answer
    try {
      await session.withTransaction(
        async () => {
          const fence = { _id: `fence:${partition}`, epoch };
          const touched = await of(LEASE, inside).updateOne(fence, { $inc: { writes: Long.fromNumber(1) } });
          if (!touched.matchedCount || !(await of(LEASE, inside).findOne(mine(), { _id: 1 }))) throw gone();
          done = await work(inside);
        },
        { readConcern: { level: "snapshot" }, writeConcern: { w: "majority", j: true } },
      );
      return done;
    } finally {
      await session.endSession();
    }
  }

  // ---- documents by their bytes

  function sha256(bytes) {
    return crypto.createHash("sha256").update(bytes).digest("hex");
  }

  // The bytes of documents, as the server keeps them.
  async function rawOf(collection, filter, where = database) {
    const found = await of(collection, where).find(filter, {}, { raw: true }).toArray();
    for (const bytes of found) {
      const isBytes = Object.prototype.toString.call(bytes) === "[object Uint8Array]";
      if (!isBytes || Buffer.from(bytes).readInt32LE(0) !== bytes.length) {
        const message = `this mongosh (${version()}) does not hand out the bytes of a document`;
        throw refusal(2, message, "use mongosh 2, or lnm rollback 21-102");
      }
    }
    return found;
  }

  // `{_id in hex: SHA-256 of the bytes}` of those that are there.
  async function hashes(collection, ids, inside) {
    const found = {};
    for (const bytes of ids.length ? await rawOf(collection, { _id: { $in: ids } }, inside) : []) {
      const data = Buffer.from(bytes);
      if (data.toString("latin1", 4, 9) !== "\x07_id\x00") {
        throw refusal(3, `${collection}: a document does not begin with its _id`, "lnm rollback 21-102 looks at that, too");
      }
      found[data.toString("hex", 9, 21)] = sha256(data);
    }
    return found;
  }

  // `{id, before, after}` of what this run has written of a row; hashes in hex, before is null where there was nothing.
  function leavesOf(row, collection) {
    const found = [];
    for (const part of row.leaves.filter((one) => one.collection === collection)) {
      const [ids, after] = [part.ids, part.after].map((one) => Buffer.from(one.buffer).subarray(0, one.position));
      const before = Object.fromEntries(part.before.map(([place, hash]) => [place, hash.toString("hex")]));
      for (let place = 0; place * 12 < ids.length; place++) {
        const leaf = {
          id: ObjectId(ids.toString("hex", place * 12, place * 12 + 12)),
          before: before[place] ?? null,
          after: after.toString("hex", place * 32, place * 32 + 32),
        };
        if (leaf.before !== leaf.after) found.push(leaf);
      }
    }
    return found;
  }

  // ---- one run

  async function takeRowBack(row, collection) {
    const leaves = leavesOf(row, collection);
    return await transaction(FENCE, async (inside) => {
      const found = await hashes(collection, leaves.map((leaf) => leaf.id), inside);
      const there = leaves.filter((leaf) => leaf.id.toString() in found);
      const asWritten = there.filter((leaf) => found[leaf.id.toString()] === leaf.after);
      const touched = there.filter((leaf) => ![leaf.after, leaf.before].includes(found[leaf.id.toString()]));
      const removed = asWritten.filter((leaf) => leaf.before === null);
      const restored = asWritten.filter((leaf) => leaf.before !== null);
      if (removed.length) await of(collection, inside).deleteMany({ _id: { $in: removed.map((leaf) => leaf.id) } });
      for (const leaf of restored) await restore(inside, row.runId, collection, leaf);
      for (const leaf of touched) {
        const said = touchedRow(row.runId, collection, leaf.id.toString());
        await of(ERRORS, inside).replaceOne({ _id: said._id }, said, { upsert: true });
      }
      await of(CHECKPOINTS, inside).updateOne({ _id: row._id }, { $addToSet: { takenBack: collection } });
      return { removed: removed.length, restored: restored.length, gone: leaves.length - there.length };
    });
  }

  // Sets a document back to its image, and looks at its bytes again before that counts.
  async function restore(inside, run, collection, leaf) {
    const as = { promoteValues: false, promoteLongs: false, promoteBuffers: false, bsonRegExp: true };
    const [image] = await of(BEFORE, inside).find({ _id: { run, collection, id: leaf.id } }, {}, as).toArray();
    const where = `${collection} ${leaf.id}`;
    if (!image) throw refusal(3, `${where}: ${BEFORE} does not hold what it was before`, `restore ${BEFORE} from the backup`);
    await of(collection, inside).replaceOne({ _id: leaf.id }, image.document);
    const now = await hashes(collection, [leaf.id], inside);
    if (now[leaf.id.toString()] !== leaf.before) {
      throw refusal(3, `${where}: this shell cannot write it as it was before`, "go on with lnm rollback 21-102 --execute");
    }
  }

  function touchedRow(run, collection, id) {
    return {
      _id: `${run}/rollback/${collection}/${id}`,
      runId: run,
      stage: "rollback",
      key: [collection, id],
      code: "ERR_LNM_TOUCHED",
      reason: "somebody has changed it since the backfill wrote it, so it was left as it is",
    };
  }

  const lastly = { said: Date.now() };

  async function takeBack(run, tally) {
    await claimAll();
    if (run.state !== "rolling-back") {
      // what an earlier rollback has left of a run that was done again since
      await removeAll(ERRORS, { runId: run._id, stage: "rollback" });
    }
    await changed(run._id, { state: "rolling-back", epoch: run.epoch, ...(reason ? { forceReason: reason } : {}) });
    for (const { collection, stage } of ORDER) {
      const total = await of(CHECKPOINTS).countDocuments({ runId: run._id, stage });
      let last = "";
      for (let done = 1; ; done++) {
        const next = { runId: run._id, stage, _id: { $gt: last } };
        const [row] = await of(CHECKPOINTS).find(next).sort({ _id: 1 }).limit(1).toArray();
        if (!row) break;
        last = row._id;
        if (!(row.takenBack ?? []).includes(collection)) {
          const one = await takeRowBack(row, collection);
          tally.removed[collection] = (tally.removed[collection] ?? 0) + one.removed;
          tally.restored += one.restored;
          tally.gone += one.gone;
        }
        if (Date.now() - lastly.said > SAY_EVERY_MS) {
          lastly.said = Date.now();
          print(`taking back ${collection}: ${done} of ${total} batches`);
        }
      }
    }
    await forget(run._id);
    const touched = await of(ERRORS).countDocuments({ runId: run._id, stage: "rollback" });
    await changed(run._id, { state: "rolled-back", touched });
  }

  async function changed(run, fields) {
    await transaction("21-102", (inside) => of(RUNS, inside).updateOne({ _id: run }, { $set: fields }));
  }

  // Removes what a run has kept for itself; what was left of it stays listed.
  async function forget(run) {
    await removeAll(BEFORE, { "_id.run": run });
    await removeAll(ERRORS, { runId: run, stage: { $ne: "rollback" } });
    await removeAll(CHECKPOINTS, { runId: run });
  }

  async function removeAll(collection, filter) {
    for (;;) {
      const ids = (await of(collection).find(filter, { _id: 1 }).limit(CHUNK).toArray()).map((one) => one._id);
      if (!ids.length) return;
      await transaction(FENCE, (inside) => of(collection, inside).deleteMany({ _id: { $in: ids } }));
    }
  }

  // ---- what is asked before

  async function requireServer() {
    const hello = await database.hello();
    if ("isImplicitDefaultMajorityWC" in hello || "configsvr" in hello) {
      throw refusal(2, "the server is a shard or a config server", "name a router (mongos) in the URI");
    }
    if (!hello.setName && hello.msg !== "isdbgrid") {
      throw refusal(2, "the server is a standalone one", "name a replica set or a router");
    }
    await rawOf(RUNS, {}); // a shell that cannot do it is refused before anything is changed
  }

  async function requireLast() {
    const filter = { _id: { $regex: "_lnm_21_", $gt: MIGRATION }, state: { $ne: "rolled-back" } };
    const other = await of(LEDGER).findOne(filter);
    if (other) {
      throw refusal(2, `a later migration stands on this one: ${other._id} (${other.state})`, "roll that one back first");
    }
  }

  async function requireKnown(known) {
    for (const { collection } of ORDER) {
      const found = await of(collection).findOne({ "backfill.runId": { $exists: true, $nin: known } }, { backfill: 1 });
      if (found) {
        const message = `${collection}: ${found._id} is of the run ${found.backfill.runId}, unknown to ${RUNS}`;
        throw refusal(2, message, `restore ${RUNS} and ${CHECKPOINTS} from the backup; nothing was changed`);
      }
    }
  }

  async function requireUnpublished(runs) {
    let count = 0;
    for (const collection of EVENTS) {
      const filter = { "backfill.runId": { $in: runs.map((run) => run._id) }, publishedAt: { $ne: null } };
      count += await of(collection).countDocuments(filter);
    }
    if (count && !reason) {
      const message = `${count} events of the backfill were published: others have acted on what would be taken back`;
      const hint = "restore the backup, or, knowing that, set FORCE_REASON; published events are then left, and listed";
      throw refusal(2, message, hint);
    }
  }

  async function standing() {
    return await of(RUNS).find({ state: { $ne: "rolled-back" } }).sort({ sequence: -1 }).toArray();
  }

  // ---- the ledger

  const OF_A_RUN = [
    "state", "direction", "run", "epoch", "migrationDigest", "kit", "runner", "owner", "settings", "actions",
    "startedAt", "finishedAt", "durationMs", "score", "error",
  ];

  async function begin(runs, digest) {
    await claim("ledger");
    const earlier = Object.fromEntries(OF_A_RUN.map((field) => [field, `$${field}`]));
    const fields = {
      state: "applying",
      direction: "back",
      run: owner.run,
      epoch,
      owner,
      delivery: "21-102",
      runner: `mongosh ${version()}`,
      actions: runs.map((run) => run._id),
    };
    const literal = eachOf(fields, (value) => ({ $literal: value }));
    const unless = (values) => eachOf(values, (value, field) => ({ $ifNull: [`$${field}`, value] }));
    const hasRun = { $ne: [{ $type: "$state" }, "missing"] };
    const update = [
      { $set: { earlier: { $concatArrays: [{ $ifNull: ["$earlier", []] }, { $cond: [hasRun, [earlier], []] }] } } },
      { $unset: ["finishedAt", "durationMs", "score", "error"] },
      { $set: { ...literal, ...unless({ migrationDigest: digest, made: [] }), startedAt: "$$NOW" } },
    ];
    await transaction("ledger", (inside) => of(LEDGER, inside).updateOne({ _id: MIGRATION }, update, { upsert: true }));
  }

  async function finish(state, outcome) {
    const literal = eachOf({ state, ...outcome }, (value) => ({ $literal: value }));
    const duration = { $toLong: { $subtract: ["$$NOW", "$startedAt"] } };
    await transaction("ledger", async (inside) => {
      const filter = { _id: MIGRATION, run: owner.run, state: "applying" };
      const ended = { ...literal, finishedAt: "$$NOW", durationMs: duration };
      const done = await of(LEDGER, inside).updateOne(filter, [{ $set: ended }]);
      if (!done.matchedCount) throw refusal(2, `${LEDGER}: the row ${MIGRATION} is no longer as this run left it`, "look at it");
      if (state === "rolled-back") await of(UPSTREAM, inside).deleteOne({ _id: MIGRATION });
    });
  }

  // ---- all of it

  const shown = (number) => number.toLocaleString("en-US");

  async function described(runs) {
    for (const run of runs) {
      print(`run ${run._id} (${run.state}) would be taken back:`);
      for (const { collection } of ORDER) {
        const count = await of(collection).countDocuments({ "backfill.runId": run._id });
        print(`  ${collection}: ${shown(count)} documents, less those that were changed since`);
      }
    }
    print("Nothing was written; set EXECUTE=1 to do it.");
  }

  async function said(runs, tally) {
    const left = [], told = new Set();
    for (const run of runs) {
      const found = await of(ERRORS).find({ runId: run._id, stage: "rollback" }).sort({ _id: 1 }).toArray();
      for (const one of found) {
        const key = one.key.join(" ");
        if (!told.has(key)) left.push(one);
        told.add(key); // a document that two runs have made is left once
      }
    }
    print(`${MIGRATION} is rolled-back`);
    for (const [collection, count] of Object.entries(tally.removed)) print(`  removed from ${collection}: ${shown(count)}`);
    if (tally.restored) print(`  set back to what an earlier run had made: ${shown(tally.restored)}`);
    if (tally.gone) print(`  not there any more: ${shown(tally.gone)}`);
    print(`  left, since somebody has changed them: ${shown(left.length)}`);
    for (const one of left.slice(0, 10)) print(`    ${one.key.join(" ")}: ${one.reason}`);
    if (left.length) {
      print('next: all of them: db.lnm_backfill_errors.find({stage: "rollback"}); decide about each; nothing else is left');
    }
    return left.length ? 3 : 0;
  }

  // True where the server, or the way to it, was not there for a while.
  function isPassing(error) {
    const labels = ["RetryableWriteError", "TransientTransactionError", "UnknownTransactionCommitResult"];
    const isOne = /^Mongo(Network|ServerSelection|NotPrimary)/.test(error.name);
    return isOne || labels.some((label) => error.errorLabelSet && error.errorLabelSet.has(label));
  }

  async function execute() {
    const tally = { removed: {}, restored: 0, gone: 0 };
    await acquire();
    try {
      const runs = await standing();
      await requireUnpublished(runs);
      await begin(runs, runs.length ? runs[0].migrationDigest : "unknown");
      try {
        for (const run of runs) await takeBack(run, tally);
        await finish("rolled-back", { score: { runs: runs.length }, made: [] });
      } catch (error) {
        await finish("failed", { error: { type: error.name, message: error.message } }).catch(() => {});
        const hint = `${error.hint ? `${error.hint}; ` : ""}what was done is done, and the same command again goes on`;
        throw refusal(error.exitCode ?? (isPassing(error) ? 10 : 3), `${MIGRATION} stopped: ${error.message}`, hint);
      }
      return await said(runs, tally);
    } finally {
      await release().catch(() => {});
    }
  }

  async function main() {
    if (!(Number.isInteger(seconds) && seconds >= 1 && seconds <= 3600)) {
      throw refusal(2, "LNM_LEASE_SECONDS: wanted whole seconds between 1 and 3600", "unset it for 30 seconds");
    }
    await requireServer();
    await requireLast();
    const runs = await standing();
    await requireKnown((await of(RUNS).find({}, { _id: 1 }).toArray()).map((run) => run._id));
    const { state } = (await of(LEDGER).findOne({ _id: MIGRATION })) ?? { state: "not applied" };
    if (["not applied", "rolled-back"].includes(state) && !runs.length) {
      print(`${MIGRATION} is ${state}: nothing to take back, nothing was written.`);
      return 0;
    }
    await requireUnpublished(runs);
    if (process.env.EXECUTE === "1") return await execute();
    await described(runs);
    return 0;
  }

  let exitCode = 1;
  try {
    exitCode = await main();
  } catch (error) {
    const isForbidden = error.code === 13; // Unauthorized
    exitCode = error.exitCode ?? (isForbidden ? 2 : isPassing(error) ? 10 : 1);
    print(`error: ${error.message.split(" to execute command")[0]}`);
    const hint = isForbidden ? "give this user the role lnmRollback21102 of runbook/roles/; nothing was changed" : error.hint;
    if (hint) print(`  hint: ${hint}`);
  }
  exit(exitCode);
})();
