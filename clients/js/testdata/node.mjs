// What a program in Node does with the package: node.mjs URL TOKEN-URL TRANSPORT. It prints what came of it, and must
// end by itself.

import assert from "node:assert/strict";

import { PgwsError, connect } from "pgws";

const [url, tokens, transport] = process.argv.slice(2);
const token = async () => (await fetch(tokens)).text();
const states = [];
const pgws = connect(url, { token, onstate: (state) => states.push(state) });
const channel = `node by ${transport} / ä`;

const seen = [];
let done;
const all = new Promise((resolve) => (done = resolve));
const first = pgws.subscribe(channel, (message) => seen.push(message) === 101 && done());
await first.ready;
assert.equal(pgws.transport, transport);

const receipts = await Promise.all(Array.from({ length: 100 }, (_, i) => pgws.publish(channel, `message ${i}`)));
await pgws.publish(channel, { any: ["JSON", 1.5, null] });
await all;
assert.deepEqual(seen.slice(0, 100).map(({ data }) => data), Array.from({ length: 100 }, (_, i) => `message ${i}`));
assert.deepEqual(seen.slice(0, 100).map(({ payload }) => payload.claims.message_delivered_at), receipts.map(({ deliveredAt }) => deliveredAt));
assert.deepEqual(seen[100].data, { any: ["JSON", 1.5, null] });
assert.equal(seen[100].payload.claims.sub, "me");
assert.equal(seen[100].channel, channel);
assert.equal(new Set(seen.map(({ position }) => position)).size, 101);

// A second channel joins the open connection, the first one leaves it.
const other = pgws.subscribe("another", ({ data }) => seen.push(data));
await other.ready;
first.unsubscribe();
const heard = new Promise((resolve) => pgws.subscribe("another", resolve));
await pgws.publish(channel, "nobody hears this");
await pgws.publish("another", "somebody hears this");
assert.equal((await heard).data, "somebody hears this");
assert.equal(seen.length, 102);

await assert.rejects(pgws.publish(channel, "x".repeat(7990)), { name: "PgwsError", code: "too_large" });
assert.deepEqual(states, ["connecting", "open"]);
pgws.close();

// A reader of one channel.
const errors = [];
const reader = connect(url, {
  token: async () => (await fetch(`${tokens}?mode=r&channel=granted`)).text(),
  transport: transport === "sse" ? "sse" : "auto",
  onerror: (error) => errors.push(error),
});
const granted = reader.subscribe("granted", () => {});
const secret = reader.subscribe("secret", () => {});
await granted.ready;
await assert.rejects(secret.ready, (error) => error instanceof PgwsError && error.code === "forbidden" && error.channel === "secret");
assert.equal(errors.length, 1);
await assert.rejects(reader.publish("granted", "x"), { code: "forbidden" });
reader.close();

// One that waits for its next attempt. Nothing of those that are closed keeps the process alive.
await new Promise((resolve) => {
  const waiting = connect("http://localhost:1/", { onstate: (state) => state === "waiting" && resolve(waiting.close()) });
});
assert.deepEqual(process.getActiveResourcesInfo().filter((resource) => resource === "Timeout"), []);
console.log("all is well");
