// The client over websockets, against a stand-in: what takes time, and what must not happen.

import assert from "node:assert/strict";
import { test } from "node:test";

import { fakeWebSocket, grant, message, settle, start } from "./fake.js";
import { connect } from "./pgws.js";

test("addresses", async (t) => {
  const cases = [
    { url: "ws://server:3000", want: "ws://server:3000/" },
    { url: "https://server/", want: "wss://server/" },
    { url: new URL("http://server/behind/a/proxy/?x=1#fragment"), want: "ws://server/behind/a/proxy/?x=1" },
    { url: "/", page: "https://page/app/", want: "wss://page/" },
    { url: "pgws/", page: "http://page/app/", want: "ws://page/app/pgws/" },
    { url: "/", throws: TypeError },
    { url: "ftp://server/", throws: TypeError },
  ];
  for (const { url, page, want, throws } of cases) {
    await t.test(String(url), async () => {
      globalThis.location = page && { href: page };
      const Sockets = fakeWebSocket();
      if (throws) return assert.throws(() => connect(url, { WebSocket: Sockets }), throws);
      const pgws = connect(url, { WebSocket: Sockets, token: () => "a.b.c" });
      await settle();
      pgws.close();
      delete globalThis.location;
      assert.equal(Sockets.last.url, want);
      assert.equal(Sockets.last.protocol, "pgws.v1");
    });
  }
  assert.throws(() => connect("http://server/", { transport: "pigeon" }), TypeError);
  assert.throws(() => connect("http://server/", { transport: "websocket", WebSocket: null }), TypeError);
});

test("the token is the first message, then all channels at once", async (t) => {
  const { pgws, Sockets, told } = start(t);
  const a = pgws.subscribe("a", () => {});
  pgws.subscribe("b", () => {});
  pgws.subscribe("a", () => {});
  await a.ready;
  await settle();
  assert.deepEqual(Sockets.last.sent, [
    { id: 1, op: "auth", token: "a.b.c" },
    { id: 2, op: "subscribe", channels: ["a", "b"] },
  ]);
  assert.deepEqual(told.states, [{ state: "connecting" }, { state: "open" }]);
  assert.equal(pgws.transport, "websocket");
});

test("what is subscribed to while the token is looked at is not forgotten", async (t) => {
  const { pgws, Sockets } = start(t, { answer: () => undefined });
  await settle();
  const { ready } = pgws.subscribe("a", () => {});
  Sockets.answer = grant;
  Sockets.last.say(grant(Sockets.last.sent[0]));
  await ready;
});

test("handlers share a subscription, and none breaks the others", async (t) => {
  const { pgws, Sockets } = start(t);
  const seen = [];
  const reported = t.mock.method(console, "error", () => {});
  const bad = pgws.subscribe("a", () => {
    throw new Error("of the page");
  });
  const once = pgws.subscribe("a", ({ data }) => {
    seen.push(["once", data]);
    once.unsubscribe();
  });
  const good = pgws.subscribe("a", ({ data }) => seen.push(["good", data]));
  await settle();
  Sockets.last.say(message("a", "p-1", "one"));
  Sockets.last.say({ op: "message", channel: "a", position: "p-2", payload: { event: "insert", payload: 2 } });
  Sockets.last.say({ op: "message", channel: "a", position: "p-3", payload: "plain text" });
  assert.deepEqual(seen, [["once", "one"], ["good", "one"], ["good", { event: "insert", payload: 2 }], ["good", "plain text"]]);
  assert.equal(reported.mock.callCount(), 3);
  bad.unsubscribe();
  await settle();
  assert.equal(Sockets.last.ops("unsubscribe").length, 0);
  good.unsubscribe();
  good.unsubscribe();
  await settle();
  assert.deepEqual(Sockets.last.ops("unsubscribe"), [{ id: 3, op: "unsubscribe", channels: ["a"] }]);
});

test("channels that come and go are brought in line one change after the other", async (t) => {
  const { pgws, Sockets } = start(t);
  const a = pgws.subscribe("a", () => {});
  await settle();
  a.unsubscribe();
  const again = pgws.subscribe("a", () => {});
  await again.ready;
  await settle();
  assert.equal(Sockets.last.sent.length, 2, "left and joined in one go, nothing is said");
  again.unsubscribe();
  pgws.subscribe("b", () => {});
  const gone = pgws.subscribe("c", () => {});
  gone.unsubscribe();
  await assert.rejects(gone.ready, { code: "closed" });
  await settle();
  assert.deepEqual(Sockets.last.sent.slice(2), [
    { id: 3, op: "unsubscribe", channels: ["a"] },
    { id: 4, op: "subscribe", channels: ["b"] },
  ]);
});

test("delays grow to a bound, and are whole again after a good while", async (t) => {
  const { Sockets, told, pass, random } = start(t, { transport: "websocket" });
  Sockets.opens = false;
  for (const part of [0, 0.999]) {
    random.mock.mockImplementation(() => part);
    for (let i = 0; i < 8; i++) await pass(30_000);
    const delays = told.states.filter(({ state }) => state === "waiting").map(({ delay }) => delay);
    if (part === 0) assert.ok(delays.every((delay) => delay === 0), "full jitter begins at nothing");
    else assert.ok(delays.at(-1) > 29_000 && delays.every((delay) => delay < 30_000));
    told.states.length = 0;
  }
  Sockets.opens = true;
  await pass(30_000);
  Sockets.last.shut(1006);
  await settle();
  assert.ok(told.states.at(-1).delay > 29_000, "open for a moment alone");
  await pass(30_000);
  await pass(10_000);
  Sockets.last.shut(1012, "restarting");
  await settle();
  assert.deepEqual(told.states.at(-1), { state: "waiting", code: 1012, reason: "restarting", delay: 999 });
});

test("a server that closes again and again is not hurried", async (t) => {
  for (const code of [1000, 1001, 1005, 1007, 1009, 1011, 1013, 3008]) {
    await t.test(String(code), async (t) => {
      const { Sockets, told, pass } = start(t);
      for (let i = 0; i < 5; i++) {
        await settle();
        Sockets.last.shut(code);
        await settle();
        await pass(told.states.at(-1).delay);
      }
      const delays = told.states.filter(({ state }) => state === "waiting").map(({ delay }) => delay);
      assert.deepEqual(delays, [500, 1000, 2000, 4000, 8000]);
    });
  }
});

test("a page that is online or seen again connects at once, or looks whether it still is", async (t) => {
  const page = new EventTarget();
  globalThis.addEventListener = page.addEventListener.bind(page);
  globalThis.document = Object.assign(new EventTarget(), { hidden: true });
  const { pgws, Sockets } = start(t);
  delete globalThis.addEventListener;
  await settle();
  Sockets.last.shut(1006);
  await settle();
  assert.equal(pgws.state, "waiting");
  page.dispatchEvent(new Event("online"));
  await settle();
  assert.equal(pgws.state, "open");
  document.dispatchEvent(new Event("visibilitychange"));
  assert.equal(Sockets.last.ops("ping").length, 0);
  document.hidden = false;
  document.dispatchEvent(new Event("visibilitychange"));
  await settle();
  assert.equal(Sockets.last.ops("ping").length, 1);
  assert.equal(Sockets.all.length, 2);
  delete globalThis.document;
});

test("channels go on from the last message", async (t) => {
  const { pgws, Sockets, told, pass } = start(t);
  pgws.subscribe("a", () => {});
  await settle();
  pgws.subscribe("b", () => {});
  await settle();
  Sockets.last.say(message("b", "p-7", "x"));
  Sockets.last.say(message("a", "p-8", "x"));
  Sockets.last.shut(1006);
  pgws.subscribe("new", () => {});
  await settle();
  await pass(500);
  assert.deepEqual(Sockets.last.ops("subscribe"), [
    { id: 2, op: "subscribe", channels: ["a", "b"], since: "p-8" },
    { id: 3, op: "subscribe", channels: ["new"] },
  ]);
  assert.deepEqual(told.gaps, []);
});

test("a channel goes on from where it began", async (t) => {
  const { pgws, Sockets, pass } = start(t);
  await pgws.subscribe("a", () => {}).ready;
  Sockets.last.say(message("a", "p-1", "x"));
  Sockets.answer = (frame) => ({ ...grant(frame), position: "p-4" }); // Others have sent to b.
  await pgws.subscribe("b", () => {}).ready;
  Sockets.last.shut(1006);
  await settle();
  await pass(500);
  assert.deepEqual(Sockets.last.ops("subscribe"), [{ id: 2, op: "subscribe", channels: ["a", "b"], since: "p-4" }]);
});

test("a gap is told of the channels that had been open, and the position is the server's", async (t) => {
  const { pgws, Sockets, told, pass } = start(t);
  const ofA = [];
  pgws.subscribe("a", () => {}, { ongap: (gap) => ofA.push(gap) });
  pgws.subscribe("b", () => {});
  await settle();
  Sockets.answer = (frame) => ({ ...grant(frame), position: "q-1", ...(frame.since && { resumed: false }) });
  Sockets.last.shut(1001);
  pgws.subscribe("new", () => {});
  await settle();
  await pass(500);
  assert.deepEqual(told.gaps, ["a", "b"]);
  assert.deepEqual(ofA, [{ channel: "a" }]);
  Sockets.last.say({ op: "gap", channel: "b", position: "q-2" });
  Sockets.last.say({ op: "gap", channel: "b" });
  assert.deepEqual(told.gaps, ["a", "b", "b", "b"]);
  Sockets.last.shut(1001);
  await settle();
  await pass(1000);
  assert.equal(Sockets.last.ops("subscribe")[0].since, "q-2");
});

test("a channel that is refused takes none with it", async (t) => {
  const answer = (frame) => (frame.op === "subscribe" && frame.channels.includes("secret")
    ? { id: frame.id, op: "error", code: "forbidden", message: "not yours" } : grant(frame));
  const { pgws, Sockets, told } = start(t, { answer });
  const good = pgws.subscribe("good", () => {});
  const secret = pgws.subscribe("secret", () => {});
  await assert.rejects(secret.ready, { name: "PgwsError", code: "forbidden", message: "not yours", channel: "secret" });
  await good.ready;
  assert.deepEqual(told.errors.map(({ channel }) => channel), ["secret"]);
  await settle();
  Sockets.last.say({ op: "unsubscribed", channels: ["good"], code: "forbidden" });
  await settle();
  assert.deepEqual(told.errors.map(({ channel, code }) => [channel, code]), [["secret", "forbidden"], ["good", "forbidden"]]);
  assert.equal(Sockets.last.sent.length, 4, "it is not subscribed to again");
  await pgws.subscribe("good", () => {}).ready;
  assert.equal(Sockets.last.sent.length, 5, "but when the page asks");
});

test("a silent connection is asked whether it lives", async (t) => {
  const { pgws, Sockets, told, pass } = start(t);
  const seen = [];
  pgws.subscribe("a", ({ data }) => seen.push(data));
  await settle();
  await pass(44_000);
  Sockets.last.say({ op: "a frame of a later version" });
  await pass(44_000);
  assert.equal(Sockets.last.ops("ping").length, 0);
  await pass(1_000);
  assert.equal(Sockets.last.ops("ping").length, 1);
  Sockets.answer = (frame) => (frame.op === "ping" ? undefined : grant(frame));
  await pass(45_000);
  assert.equal(Sockets.last.ops("ping").length, 2);
  assert.equal(told.states.at(-1).state, "open");
  await pass(10_000);
  assert.deepEqual(told.states.at(-1), { state: "waiting", code: 1006, reason: "the server is silent", delay: 500 });
  assert.ok(Sockets.last.closed);
  await pass(500);
  Sockets.all[0].onmessage({ data: JSON.stringify(message("a", "p-1", "late, of the connection given up")) });
  assert.deepEqual(seen, []);
});

test("a connection that does not come about is given up", async (t) => {
  const { Sockets, told, pass } = start(t, { transport: "websocket" });
  Sockets.opens = null;
  await settle();
  await pass(15_000);
  assert.deepEqual(told.states.at(-1), { state: "waiting", code: 1006, reason: "no answer came", delay: 500 });
  assert.ok(Sockets.last.closed);
});

test("a client that is closed at once does not connect", async (t) => {
  const { pgws, Sockets } = start(t, { token: undefined, onstate: (state) => state === "connecting" && pgws.close() });
  await settle();
  assert.equal(Sockets.all.length, 0);
});

test("a closed client stays closed", async (t) => {
  const { pgws, Sockets, told, pass } = start(t);
  const { ready } = pgws.subscribe("a", () => assert.fail("called after close"));
  await ready;
  pgws.close();
  pgws.close();
  assert.ok(Sockets.last.closed);
  await pass(600_000);
  assert.equal(Sockets.all.length, 1);
  assert.deepEqual(told.states.slice(-1), [{ state: "closed", code: 1000, reason: "closed by the page" }]);
  assert.deepEqual([pgws.state, pgws.transport], ["closed", undefined]);
});

test("frames are parsed as the page likes", async (t) => {
  const got = [];
  const parse = (text) => JSON.parse(text, (name, value) => (name === "payload" && typeof value === "string" ? `my ${value}` : value));
  const { pgws, Sockets } = start(t, { parse });
  await pgws.subscribe("a", ({ data }) => got.push(data)).ready;
  Sockets.last.say(message("a", "p-1", "words"));
  await settle();
  assert.deepEqual(got, ["my words"]);
});

test("a channel that was open is told to go on", async (t) => {
  const resumed = [];
  const { pgws, Sockets, told, pass } = start(t, { onresume: ({ channel }) => resumed.push(channel) });
  await pgws.subscribe("a", () => {}).ready;
  Sockets.last.say(message("a", "p-1", "x"));
  await settle();
  Sockets.last.shut(1001);
  await settle();
  await pass(500);
  assert.deepEqual(resumed, ["a"]);
  assert.deepEqual(told.gaps, []);
});

test("a page may close the client when it hears of an error", async (t) => {
  let pgws;
  const answer = ({ id }) => ({ id, op: "error", code: "unauthorized", message: "no" });
  const started = start(t, { answer, onerror: () => pgws.close() });
  ({ pgws } = started);
  await settle();
  await started.pass(60_000);
  const { length } = started.Sockets.all;
  await started.pass(600_000);
  assert.equal(pgws.state, "closed");
  assert.equal(started.told.states.at(-1).state, "closed");
  assert.equal(started.Sockets.all.length, length);
});
