// What is published is sent once, or never.

import assert from "node:assert/strict";
import { test } from "node:test";

import { grant, settle, start } from "./fake.js";

test("what is published without a connection waits for one, in order", async (t) => {
  const { pgws, Sockets, pass } = start(t, { echo: false });
  const first = pgws.publish("a", "one");
  const second = pgws.publish("a", { two: 2 });
  assert.deepEqual(await first, { deliveredAt: 1795352315.019831 });
  await second;
  assert.deepEqual(Sockets.last.ops("publish"), [
    { id: 2, op: "publish", channel: "a", payload: "one", echo: false },
    { id: 3, op: "publish", channel: "a", payload: { two: 2 }, echo: false },
  ]);
  Sockets.opens = null; // Hangs.
  Sockets.last.shut(1006);
  const late = pgws.publish("a", "late");
  late.catch(() => {});
  await pass(30_000);
  await assert.rejects(late, { code: "timeout" });
});

test("a publication is never sent twice", async (t) => {
  const { pgws, Sockets, pass } = start(t, { answer: (frame) => (frame.op === "publish" ? undefined : grant(frame)) });
  await settle();
  const broken = pgws.publish("a", "sent");
  Sockets.last.shut(1006);
  await assert.rejects(broken, { code: "uncertain" });
  await pass(500);
  assert.equal(Sockets.all.length, 2);
  const unanswered = pgws.publish("a", "sent");
  unanswered.catch(() => {});
  await pass(15_000);
  await assert.rejects(unanswered, { code: "uncertain" });
  Sockets.answer = ({ id }) => ({ id, op: "error", code: "unavailable", message: "slow", uncertain: true });
  await assert.rejects(pgws.publish("a", "sent"), { code: "uncertain" });
  Sockets.answer = ({ id }) => ({ id, op: "error", code: "forbidden", message: "mode r" });
  await assert.rejects(pgws.publish("a", "sent"), { code: "forbidden" });
  Sockets.answer = ({ id }) => {
    Sockets.answer = grant;
    return { id, op: "error", code: "unauthorized", message: "on a connection that stays" };
  };
  await assert.rejects(pgws.publish("a", "sent"), { code: "unauthorized" });
  assert.equal(Sockets.last.ops("publish").length, 4);
});

test("what is published is what was given", async (t) => {
  const { pgws, Sockets } = start(t);
  const given = { n: 0 };
  const published = [];
  for (given.n = 1; given.n <= 3; given.n++) published.push(pgws.publish("a", given));
  await settle();
  assert.equal(pgws.state, "open");
  for (; given.n <= 6; given.n++) published.push(pgws.publish("a", given));
  await Promise.all(published);
  assert.deepEqual(Sockets.last.ops("publish").map(({ payload }) => payload.n), [1, 2, 3, 4, 5, 6]);
});

test("an error names the channel", async (t) => {
  const answer = (frame) => (frame.op === "publish" ? { id: frame.id, op: "error", code: "forbidden", message: "mode r" } : grant(frame));
  const { pgws, Sockets, pass } = start(t, { answer });
  await settle();
  await assert.rejects(pgws.publish("a", "refused"), { code: "forbidden", channel: "a" });
  Sockets.answer = () => undefined;
  const uncertain = pgws.publish("b", "unanswered");
  await settle();
  Sockets.last.shut(1006);
  await assert.rejects(uncertain, { code: "uncertain", channel: "b" });
  const late = assert.rejects(pgws.publish("c", "late"), { code: "timeout", channel: "c" });
  await pass(30_000);
  await late;
  const closed = assert.rejects(pgws.publish("d", "closed"), { code: "closed", channel: "d" });
  pgws.close();
  await closed;
});

test("what cannot be published is told before", async (t) => {
  const { pgws } = start(t, { answer: () => undefined });
  await assert.rejects(pgws.publish("a", "x".repeat(8000)), { code: "too_large", channel: "a" });
  await assert.rejects(pgws.publish("a", undefined), TypeError);
  await assert.rejects(pgws.publish("a", 1n), TypeError);
  const waiting = Array.from({ length: 1000 }, () => pgws.publish("a", "waits"));
  await assert.rejects(pgws.publish("a", "one too many"), { code: "unavailable" });
  pgws.close();
  for (const { reason } of await Promise.allSettled(waiting)) assert.equal(reason.code, "closed");
});
