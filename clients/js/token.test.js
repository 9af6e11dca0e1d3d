// Tokens: asked for, refused, renewed.

import assert from "node:assert/strict";
import { test } from "node:test";

import { grant, settle, start } from "./fake.js";
import { PgwsError } from "./pgws.js";

test("without a token the handshake has one", async (t) => {
  const { pgws, Sockets } = start(t, { token: undefined });
  const { ready } = pgws.subscribe("a", () => {});
  await settle();
  assert.deepEqual(Sockets.last.sent, [{ id: 2, op: "subscribe", channels: ["a"] }]);
  assert.equal(pgws.state, "connecting");
  Sockets.last.say({ op: "ready", mode: "r", channels: [], position: "p-0" });
  await ready;
  await settle();
  assert.equal(pgws.state, "open");
});

test("a refused token is replaced at once, the next ones slowly", async (t) => {
  let tokens = 0;
  const refuse = (frame) => (frame.op === "auth" ? { id: frame.id, op: "error", code: "unauthorized", message: "bad" } : grant(frame));
  const { Sockets, told, pass } = start(t, { token: async () => `token ${++tokens}`, answer: refuse });
  await settle();
  await pass(0);
  assert.deepEqual(Sockets.all.map(({ sent }) => sent[0].token), ["token 1", "token 2"]);
  assert.deepEqual(told.states.filter(({ state }) => state === "waiting").map(({ delay }) => delay), [0, 1000]);
  assert.deepEqual(told.errors.map(({ code, message }) => [code, message]), [["unauthorized", "bad"]]);
  Sockets.answer = () => undefined;
  await pass(1000);
  Sockets.last.shut(3000, "the server says so");
  await settle();
  assert.deepEqual(told.states.at(-1), { state: "waiting", code: 3000, reason: "the server says so", delay: 2000 });
});

test("what will never be granted is not asked for again", async (t) => {
  const { pgws, Sockets, told, pass } = start(t, { answer: () => undefined });
  const { ready } = pgws.subscribe("a", () => {});
  const published = pgws.publish("a", "waits");
  await settle();
  Sockets.last.shut(3003, "this origin is not allowed");
  await assert.rejects(ready, { code: "closed", channel: "a" });
  await assert.rejects(published, { code: "closed" });
  await pass(60_000);
  assert.equal(Sockets.all.length, 1);
  assert.deepEqual(told.states.at(-1), { state: "closed", code: 3003, reason: "this origin is not allowed" });
  assert.ok(told.errors[0] instanceof PgwsError && told.errors[0].code === "forbidden");
  await assert.rejects(pgws.publish("a", "late"), { code: "closed" });
  await assert.rejects(pgws.subscribe("a", () => {}).ready, { code: "closed" });
});

test("what is too large before the connection is open would be so again", async (t) => {
  const { Sockets, told, pass } = start(t, { answer: () => undefined });
  await settle();
  Sockets.last.shut(1009, "the token is too large");
  await settle();
  await pass(60_000);
  assert.equal(Sockets.all.length, 1);
  assert.deepEqual(told.states.at(-1), { state: "closed", code: 1009, reason: "the token is too large" });
  assert.deepEqual(told.errors.map(({ code, message }) => [code, message]), [["too_large", "the token is too large"]]);
});

test("a token is renewed in place; a function that fails is asked again before the end", async (t) => {
  const tokens = ["first", new Error("offline"), "", "fresh"];
  const token = async () => {
    const next = tokens.shift();
    if (next instanceof Error) throw next;
    return next;
  };
  const { pgws, Sockets, told, pass } = start(t, { token });
  await settle();
  Sockets.last.say({ op: "expiring", in: 30 });
  await settle();
  for (let i = 0; i < 2; i++) await pass(5_000);
  assert.deepEqual(Sockets.last.ops("auth").map((frame) => frame.token), ["first", "fresh"]);
  assert.deepEqual(told.errors.map((error) => error.message), ["offline", "token() returned nothing"]);
  assert.equal(Sockets.all.length, 1);
  assert.equal(pgws.state, "open");
  Sockets.last.say({ op: "expiring", in: 30 });
  for (let i = 0; i < 60; i++) await pass(1_000);
  const told30 = told.errors.length;
  for (let i = 0; i < 60; i++) await pass(1_000);
  assert.equal(told.errors.length, told30, "a token that has expired is not renewed");
});

test("a function that returns what it did is asked again, the server is not", async (t) => {
  const token = t.mock.fn(() => (Date.now() < 1_018_000 ? "cached" : "fresh"));
  const asked = [];
  const { Sockets, pass } = start(t, { token: () => asked.push(Date.now() - 1_000_000) && token() });
  await settle();
  Sockets.last.say({ op: "expiring", in: 30 });
  await settle();
  for (let i = 0; i < 30; i++) await pass(1000);
  assert.deepEqual(asked, [0, 0, 5_000, 10_000, 15_000, 20_000]);
  assert.deepEqual(Sockets.last.ops("auth").map((frame) => frame.token), ["cached", "fresh"]);
});

test("tokens leave nothing behind", async (t) => {
  const warned = t.mock.fn();
  process.on("warning", warned);
  t.after(() => process.off("warning", warned));
  let tokens = 0;
  const { Sockets, pass } = start(t, { token: () => `token ${++tokens}` });
  for (let i = 0; i < 20; i++) {
    await settle();
    Sockets.last.say({ op: "expiring", in: 30 });
  }
  await pass(0);
  assert.equal(tokens, 21);
  assert.equal(warned.mock.callCount(), 0);
});

test("a connection without a token to be had is tried later", async (t) => {
  const { Sockets, told, pass } = start(t, {
    token: t.mock.fn(async () => "good", async () => Promise.reject(new Error("offline")), { times: 1 }),
  });
  await settle();
  assert.equal(Sockets.all.length, 0);
  assert.deepEqual(told.states.at(-1), { state: "waiting", code: 1006, reason: "there is no token", delay: 500 });
  await pass(500);
  assert.equal(Sockets.last.sent[0].token, "good");
});

test("a function that does not return is not waited for", async (t) => {
  const { pgws, Sockets, told, pass } = start(t, { token: () => new Promise(() => {}) });
  await settle();
  await pass(10_000);
  assert.equal(told.states.at(-1).state, "waiting");
  await pass(500);
  pgws.close();
  await settle();
  assert.equal(told.errors.length, 1);
  assert.equal(Sockets.all.length, 0);
});

test("a token that comes too late is not used", async (t) => {
  let give;
  const { pgws, Sockets } = start(t, { token: () => new Promise((resolve) => (give = resolve)) });
  await settle();
  pgws.close();
  give("late");
  await settle();
  assert.equal(Sockets.all.length, 0);
});
