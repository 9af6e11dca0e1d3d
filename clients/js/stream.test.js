// Where websockets are blocked: SSE and POST, against a stand-in.

import assert from "node:assert/strict";
import { test } from "node:test";

import { expiry, fakeFetch, fakeStream, fakeWebSocket, grant, message, settle } from "./fake.js";
import { connect } from "./pgws.js";

/** Connects by SSE alone, unless options say otherwise. A stand-in answers as `serve` does, which may be changed. */
function start(t, options = {}) {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  t.mock.method(Math, "random", () => 0.5);
  const told = { states: [], gaps: [], errors: [], seen: [] };
  const server = { streams: [], stream: undefined, serve: options.serve ?? serve };
  const requests = fakeFetch(t, (request) => server.serve(request, server));
  const pgws = connect("ws://server/", {
    token: () => "a.b.c",
    transport: "sse",
    onstate: (state, why) => told.states.push({ state, ...why }),
    ongap: ({ channel }) => told.gaps.push(channel),
    onerror: (error) => told.errors.push(error),
    ...options,
  });
  t.after(() => pgws.close());
  const pass = async (ms) => {
    t.mock.timers.tick(ms);
    await settle();
  };
  const subscribe = (channel) => pgws.subscribe(channel, ({ data }) => told.seen.push(data));
  const gets = () => requests.filter(({ method }) => method === "GET");
  return { pgws, server, requests, gets, told, pass, subscribe };
}

/** Opens a stream, or answers what is posted. */
function serve({ method, headers, frame, signal, channels }, server) {
  if (method === "POST") return Response.json(grant(frame));
  server.stream = fakeStream(signal);
  server.stream.send("retry: 2000\n\n");
  const { Authorization: token, "Last-Event-ID": since } = headers;
  const { position, resumed } = grant({ op: "subscribe", since });
  server.stream.say({ op: "ready", mode: "rw", expires: expiry(token), channels, position, resumed });
  return server.stream.response;
}

/** Does the same, but for one channel. */
function withoutSecret(request, server) {
  return request.channels.includes("secret") ? refusal(403, "Error: not yours") : serve(request, server);
}

const refusal = (status, text) => new Response(text, { status });


test("a stream of events is read however it is cut", async (t) => {
  const text = [
    `\uFEFF: a comment\r\n`,
    `data: ${JSON.stringify(message("a", "p-1", "żółw \u2028"))}\r\n\r\n`,
    `id: p-2\rdata:{"op":"message",\rdata: "channel":"a","position":"p-2","payload":\rdata: 2}\r\r`,
    `event: x\n\n:\n\n`,
    `data: {"op":"message","channel":"a","position":"p-3",\r\ndata: "payload":[]}\n\n`,
  ].join("");
  const bytes = new TextEncoder().encode(text);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const seen = [];
    const fetched = t.mock.method(globalThis, "fetch", async (_, { method, signal }) => {
      if (method === "POST") return Response.json({ op: "ok" });
      const stream = fakeStream(signal);
      if (cut < 3) stream.send(bytes.subarray(0, cut)); // Within the mark at the beginning.
      else stream.send("\uFEFF");
      stream.send(`data: {"op":"ready","channels":["a"],"position":"p-0"}\n\n`);
      if (cut >= 3) stream.send(bytes.subarray(3, cut));
      stream.send(bytes.subarray(cut < 3 ? 3 : cut));
      return stream.response;
    });
    const pgws = connect("http://server/", { transport: "sse" });
    await new Promise((resolve) => pgws.subscribe("a", ({ data }) => seen.push(data) === 3 && resolve()));
    pgws.close();
    fetched.mock.restore();
    assert.deepEqual(seen, ["żółw \u2028", 2, []], `cut at ${cut}`);
  }
});

test("one stream has all channels, and is opened anew from the position", async (t) => {
  const { gets, subscribe, server, told } = start(t);
  subscribe("a");
  subscribe("b c/ä");
  await settle();
  assert.deepEqual(gets().map(({ channels }) => channels), [["a", "b c/ä"]]);
  assert.equal(String(gets()[0].url), "http://server/?protocol=pgws.v1&channel=a&channel=b+c%2F%C3%A4");
  assert.deepEqual(gets()[0].headers, { Accept: "text/event-stream", Authorization: "Bearer a.b.c" });
  server.stream.say(message("a", "p-7", "seen"));
  await settle();
  const c = subscribe("c");
  subscribe("d");
  c.unsubscribe();
  server.serve = (request) => {
    const response = serve(request, server);
    if (request.headers["Last-Event-ID"] === "p-7") server.stream.say(message("a", "p-8", "missed"));
    return response;
  };
  await settle();
  assert.deepEqual(gets().slice(1).map(({ channels }) => channels), [["a", "b c/ä"], ["a", "b c/ä", "d"]]);
  assert.equal(gets()[1].headers["Last-Event-ID"], "p-7");
  assert.deepEqual(gets().map(({ signal }) => signal.aborted), [true, true, false]);
  assert.deepEqual([told.seen, told.gaps], [["seen", "missed"], []]);
  assert.deepEqual(told.states.map(({ state }) => state), ["connecting", "open"]);
});

test("a channel that joins gets nothing from before", async (t) => {
  const { gets, subscribe, server, told } = start(t);
  const log = [];
  server.serve = ({ channels, headers, signal }) => {
    const since = headers["Last-Event-ID"] ?? log.length;
    const missed = log.filter(({ channel, position }) => channels.includes(channel) && position > since);
    server.stream = fakeStream(signal);
    server.stream.say({ op: "ready", channels, position: `${missed[0]?.position - 1 || log.length}`, resumed: true });
    for (const frame of missed) server.stream.say(frame);
    return server.stream.response;
  };
  const send = (channel, text) => log.push(message(channel, `${log.length + 1}`, text));
  send("a", "too early");
  subscribe("a");
  await settle();
  send("a", "one");
  server.stream.say(log.at(-1));
  await settle();
  for (let i = 0; i < 3; i++) send("b", "too early");
  send("a", "two");
  subscribe("b");
  await settle();
  assert.deepEqual(gets().at(-1).channels, ["a", "b"]);
  send("b", "three");
  server.stream.say(log.at(-1));
  await settle();
  assert.deepEqual(told.seen, ["one", "two", "three"]);
  assert.deepEqual(told.gaps, []);
});

test("a handler that subscribes has what came with its message only once", async (t) => {
  const { pgws, server, told } = start(t);
  pgws.subscribe("a", ({ data }) => told.seen.push(data) === 1 && pgws.subscribe("b", () => {}));
  await settle();
  const [first, second] = [message("a", "p-1", "first"), message("a", "p-2", "second")];
  const both = `data: ${JSON.stringify(first)}\n\ndata: ${JSON.stringify(second)}\n\n`;
  server.serve = (request) => {
    const response = serve(request, server);
    if (request.headers["Last-Event-ID"] === "p-1") server.stream.say(second);
    return response;
  };
  server.stream.send(both);
  await settle();
  assert.deepEqual(told.seen, ["first", "second"]);
});

test("a gap is told when the stream could not go on", async (t) => {
  const { gets, subscribe, server, told, pass } = start(t);
  subscribe("a");
  await settle();
  const restarted = (position) => ({ signal, channels, headers }) => {
    server.stream = fakeStream(signal);
    server.stream.say({ op: "ready", channels, position, resumed: headers["Last-Event-ID"] === position });
    return server.stream.response;
  };
  server.serve = restarted("q-1");
  subscribe("b");
  await settle();
  assert.deepEqual(told.gaps, ["a"], "b was not open before");
  server.serve = restarted("r-1");
  server.stream.end();
  await settle();
  assert.deepEqual(told.states.at(-1), { state: "waiting", code: 1006, reason: "the stream has ended", delay: 500 });
  await pass(500);
  assert.equal(gets().at(-1).headers["Last-Event-ID"], "q-1");
  assert.deepEqual(told.gaps, ["a", "a", "b"]);
  server.stream.say({ op: "gap", channel: "b", position: "r-2" });
  await settle();
  assert.deepEqual(told.gaps, ["a", "a", "b", "b"]);
  server.serve = restarted("r-2");
  subscribe("c");
  await settle();
  assert.deepEqual(told.gaps, ["a", "a", "b", "b"], "a gap is told once");
});

test("a stream that is refused for a channel goes on without it", async (t) => {
  const { gets, subscribe, server, told } = start(t);
  server.serve = withoutSecret;
  const good = subscribe("good");
  const secret = subscribe("secret");
  await assert.rejects(secret.ready, { code: "forbidden", message: "Error: not yours", channel: "secret" });
  await good.ready;
  await settle();
  assert.deepEqual(gets().at(-1).channels, ["good"]);
  assert.ok(!gets().at(-1).signal.aborted);
  assert.deepEqual(told.errors.map(({ channel }) => channel), ["secret"]);
  assert.equal(told.states.at(-1).state, "open");
});

test("of channels that come back, a refused one costs the others their position, and that is told", async (t) => {
  const { gets, subscribe, server, told, pass } = start(t);
  for (const channel of ["a", "b", "secret"]) subscribe(channel);
  await settle();
  server.stream.say(message("a", "p-5", "seen"));
  await settle();
  server.serve = withoutSecret;
  server.stream.end();
  await settle();
  await pass(500);
  assert.deepEqual(told.gaps, ["a", "b"]);
  assert.deepEqual(told.errors.map(({ channel }) => channel), ["secret"]);
  assert.deepEqual(gets().map(({ channels, headers }) => [channels.join(), headers["Last-Event-ID"]]), [
    ["a,b,secret", undefined], ["a,b,secret", "p-5"], ["a", undefined], ["a", "p-0"], ["a,b", "p-0"], ["a,b", "p-0"],
    ["a,b,secret", "p-0"], ["a,b", "p-0"],
  ]);
});

test("renewal opens the stream with the new token", async (t) => {
  let tokens = 0;
  const { gets, subscribe, server, told } = start(t, { token: () => `token ${++tokens}` });
  subscribe("a");
  await settle();
  server.stream.say({ op: "expiring", in: 30 });
  await settle();
  assert.deepEqual(gets().map(({ headers }) => headers.Authorization), ["Bearer token 1", "Bearer token 2"]);
  server.stream.say({ op: "close", code: 3001, reason: "JWT expired" });
  await settle();
  assert.deepEqual(told.states.at(-1), { state: "waiting", code: 3001, reason: "JWT expired", delay: 0 });
});

test("a token that stays the same opens no stream", async (t) => {
  const { gets, subscribe, server, pass } = start(t);
  subscribe("a");
  await settle();
  server.stream.say({ op: "expiring", in: 30 });
  for (let i = 0; i < 30; i++) await pass(1_000);
  assert.equal(gets().length, 1);
});

test("what ends a stream", async (t) => {
  const cases = [
    { answer: () => refusal(401, "Error: JWT expired"), want: { code: 3000, reason: "Error: JWT expired", delay: 0 } },
    { answer: () => refusal(503, "Error: starting"), want: { code: 1006, reason: "Error: starting", delay: 500 } },
    { answer: () => Promise.reject(new TypeError("fetch failed")), want: { code: 1006, reason: "TypeError: fetch failed", delay: 500 } },
    { answer: () => new Response("data: no JSON\n\n"), want: { code: 1006, reason: /SyntaxError/, delay: 500 } },
  ];
  for (const { answer, want } of cases) {
    await t.test(String(want.reason), async (t) => {
      const { server, told, subscribe } = start(t, { serve: answer });
      subscribe("a");
      await settle();
      const { state, reason, ...rest } = told.states.at(-1);
      assert.match(reason, want.reason instanceof RegExp ? want.reason : new RegExp(want.reason));
      assert.deepEqual({ state, ...rest }, { state: "waiting", code: want.code, delay: want.delay });
      server.serve = serve;
    });
  }
});

test("what is published is posted in its order", async (t) => {
  const { pgws, requests, server } = start(t);
  await settle();
  const answers = [];
  server.serve = ({ frame }) => new Promise((resolve) => answers.push(() => resolve(Response.json(grant(frame)))));
  const sent = ["one", "two"].map((text) => pgws.publish("a", text));
  await settle();
  assert.equal(answers.length, 1, "the second waits for the first");
  answers[0]();
  assert.deepEqual(await sent[0], { deliveredAt: 1795352315.019831 });
  await settle();
  answers[1]();
  await sent[1];
  assert.deepEqual(requests.slice(1).map(({ method, frame: { op, channel, payload } }) => [method, op, channel, payload]),
    [["POST", "publish", "a", "one"], ["POST", "publish", "a", "two"]]);
  server.serve = () => Response.json({ op: "error", code: "unavailable", message: "slow", uncertain: true }, { status: 504 });
  await assert.rejects(pgws.publish("a", "three"), { code: "uncertain" });
  server.serve = () => Promise.reject(new TypeError("fetch failed"));
  await assert.rejects(pgws.publish("a", "four"), { code: "uncertain" });
  assert.equal(requests.filter(({ frame }) => frame?.payload === "four").length, 1);
});

test("the JSON of a proxy is no answer", async (t) => {
  const { pgws, server, told, pass } = start(t);
  await settle();
  for (const body of [{ message: "The upstream server is timing out" }, null]) {
    server.serve = () => Response.json(body, { status: 504 });
    await assert.rejects(pgws.publish("a", "x"), { code: "uncertain" });
    await settle();
    assert.equal(told.states.at(-1).code, 1006);
    await pass(30_000);
    assert.equal(pgws.state, "waiting", "what is no frame opens nothing");
    server.serve = serve;
    await pass(30_000);
    assert.equal(pgws.state, "open");
  }
});

test("what is posted when the stream ends is answered, and the next publications follow it", async (t) => {
  const { pgws, requests, server, subscribe, pass } = start(t);
  subscribe("a");
  await settle();
  const post = async () => {
    const { stream } = server;
    requests.length = 0;
    let answer;
    server.serve = (request) => (request.frame?.payload === 1 ? new Promise((resolve) => (answer = resolve)) : serve(request, server));
    const outcomes = [1, 2].map((n) => pgws.publish("a", n));
    await settle();
    stream.say({ op: "close", code: 3001, reason: "JWT expired" });
    await settle();
    await pass(1000);
    assert.equal(pgws.state, "open");
    outcomes.push(pgws.publish("a", 3));
    outcomes.forEach((outcome) => outcome.catch(() => {}));
    await settle();
    assert.deepEqual(posted(), [1]);
    return { outcomes, answer: () => answer(Response.json(grant({ op: "publish" }))) };
  };
  const posted = () => requests.filter(({ frame }) => frame).map(({ frame }) => frame.payload);
  const codes = async (outcomes) => (await Promise.allSettled(outcomes)).map(({ reason }) => reason?.code ?? "sent");

  const answered = await post();
  answered.answer();
  assert.deepEqual(await codes(answered.outcomes), ["sent", "sent", "sent"]);
  assert.deepEqual(posted(), [1, 2, 3]);

  const late = await post();
  const [{ signal }] = requests.filter(({ frame }) => frame);
  assert.ok(!signal.aborted);
  await pass(15_000);
  assert.deepEqual(await codes(late.outcomes), ["uncertain", "sent", "sent"]);
  assert.ok(signal.aborted);

  const closed = await post();
  pgws.close();
  assert.deepEqual(await codes(closed.outcomes), ["uncertain", "closed", "closed"]);
  assert.deepEqual(posted(), [1]);
});

test("a websocket that works does not make a publication uncertain", async (t) => {
  const Sockets = fakeWebSocket();
  Sockets.opens = false;
  const { pgws, server, pass } = start(t, { transport: "auto", WebSocket: Sockets });
  await settle();
  await pass(500);
  await pass(0);
  assert.equal(pgws.transport, "sse");
  for (let i = 0; i < 19; i++) await pass(15_000);
  await pass(14_500);
  let answer;
  server.serve = () => new Promise((resolve) => (answer = resolve));
  Sockets.opens = true;
  const first = pgws.publish("a", "posted");
  const second = pgws.publish("a", "after it");
  await pass(1_000);
  await pass(0);
  assert.equal(pgws.transport, "websocket");
  assert.equal(Sockets.last.ops("publish").length, 0);
  answer(Response.json(grant({ op: "publish" })));
  await first;
  await second;
  assert.deepEqual(Sockets.last.ops("publish").map(({ payload }) => payload), ["after it"]);
});

test("a publication that is refused again and again is given up after its time", async (t) => {
  let tokens = 0;
  const { pgws, server, pass } = start(t, { token: () => `token ${++tokens}` });
  await settle();
  server.serve = (request) => (request.frame.op === "publish"
    ? Response.json({ op: "error", code: "unauthorized", message: "no" }) : serve(request, server));
  let outcome;
  pgws.publish("a", "x").catch(({ code }) => (outcome = code));
  for (let ms = 0; ms < 29_000; ms += 100) await pass(100);
  assert.equal(outcome, undefined);
  for (let ms = 0; ms < 2_000; ms += 100) await pass(100);
  assert.equal(outcome, "timeout");
});

test("what waits for its turn is not too late, and not uncertain", async (t) => {
  const { pgws, requests, server, pass } = start(t);
  await settle();
  server.serve = ({ frame }) => new Promise((resolve) => setTimeout(() => resolve(Response.json(grant(frame))), 100));
  const given = { n: 0 };
  const sent = [];
  for (; given.n < 200; given.n++) sent.push(pgws.publish("a", given));
  await settle();
  for (let i = 0; i < 200; i++) await pass(100);
  await Promise.all(sent);
  assert.deepEqual(requests.slice(1).map(({ frame }) => frame.payload.n), Array.from({ length: 200 }, (_, n) => n));
});

test("what has waited for its turn when a connection ends is sent by the next one", async (t) => {
  let tokens = 0;
  const { pgws, requests, server, pass } = start(t, { token: () => `token ${++tokens}` });
  await settle();
  const publish = async (serveIt) => {
    requests.length = 0;
    server.serve = (request) => (request.frame?.payload === 2 ? serveIt(request) : serve(request, server));
    const outcomes = Promise.allSettled([1, 2, 3, 4, 5].map((n) => pgws.publish("a", n)));
    await settle();
    server.serve = serve;
    await pass(1_000);
    return (await outcomes).map(({ reason }) => reason?.code ?? "sent");
  };
  const posted = () => requests.filter(({ frame }) => frame?.op === "publish").map(({ frame }) => frame.payload);
  const expired = await publish(() => Response.json({ op: "error", code: "unauthorized", message: "JWT expired" }));
  assert.deepEqual(expired, ["sent", "sent", "sent", "sent", "sent"]);
  assert.deepEqual(posted(), [1, 2, 2, 3, 4, 5]);
  const broken = await publish(() => Promise.reject(new TypeError("fetch failed")));
  assert.deepEqual(broken, ["sent", "uncertain", "sent", "sent", "sent"]);
  assert.deepEqual(posted(), [1, 2, 3, 4, 5]);
});

test("where there is no token the browser has a cookie", async (t) => {
  const { pgws, requests, subscribe } = start(t, { token: undefined });
  await subscribe("a").ready;
  await pgws.publish("a", "x");
  assert.deepEqual(requests.map(({ credentials }) => credentials), ["include", "include"]);
});

test("a publication with a token that has expired is sent with a fresh one", async (t) => {
  let tokens = 0;
  const { pgws, requests, server, pass } = start(t, { token: () => `token ${++tokens}` });
  await settle();
  assert.equal(pgws.state, "open");
  const expired = { op: "error", code: "unauthorized", message: "JWT expired" };
  server.serve = (request) => (request.headers.Authorization.endsWith("token 1") ? Response.json(expired) : serve(request));
  const published = pgws.publish("a", "late");
  await settle();
  await pass(0);
  await published;
  assert.deepEqual(requests.filter(({ frame }) => frame.payload === "late").map(({ headers }) => headers.Authorization),
    ["Bearer token 1", "Bearer token 2"]);
});

test("a stream without its comments is dead", async (t) => {
  const { pgws, gets, requests, subscribe, server, told, pass } = start(t);
  const a = subscribe("a");
  await settle();
  await pass(44_000);
  server.stream.send(":\n\n");
  await settle();
  await pass(44_000);
  await pgws.publish("a", "does not come over the stream");
  assert.equal(gets().length, 1);
  await pass(1_000);
  assert.equal(gets().length, 2, "another stream may be well");
  assert.equal(told.states.at(-1).state, "open");
  server.serve = () => new Promise(() => {});
  await pass(45_000);
  await pass(10_000);
  assert.deepEqual(told.states.at(-1), { state: "waiting", code: 1006, reason: "the server is silent", delay: 500 });
  assert.ok(gets().at(-1).signal.aborted);
  server.serve = serve;
  await pass(500);
  a.unsubscribe();
  await settle();
  const { length } = requests;
  for (let i = 0; i < 4; i++) await pass(45_000);
  assert.deepEqual(requests.slice(length).map(({ frame }) => frame.op), ["ping", "ping", "ping", "ping"]);
  assert.equal(told.states.at(-1).state, "open");
  server.serve = () => new Promise(() => {});
  await pass(45_000);
  await pass(10_000);
  assert.equal(told.states.at(-1).reason, "the server is silent");
});

test("a page that is online again looks whether the stream lives, and harms none that does", async (t) => {
  const page = new EventTarget();
  globalThis.addEventListener = page.addEventListener.bind(page);
  const { subscribe, server, told, pass } = start(t);
  delete globalThis.addEventListener;
  subscribe("a");
  await settle();
  page.dispatchEvent(new Event("online"));
  await pass(8_000);
  server.stream.say(message("a", "p-1", "lives"));
  await pass(2_000);
  await pass(30_000);
  assert.deepEqual(told.states.map(({ state }) => state), ["connecting", "open"]);
  assert.deepEqual([told.seen, told.gaps], [["lives"], []]);
  server.serve = () => new Promise(() => {});
  page.dispatchEvent(new Event("online"));
  await pass(10_000);
  assert.deepEqual(told.states.at(-1), { state: "waiting", code: 1006, reason: "the server is silent", delay: 500 });
});

test("websockets that do not open twice are given up for SSE, and looked for again", async (t) => {
  const Sockets = fakeWebSocket();
  Sockets.opens = false;
  const { pgws, subscribe, server, told, pass, gets } = start(t, { transport: "auto", WebSocket: Sockets });
  subscribe("a");
  await settle();
  await pass(500);
  await pass(0);
  assert.equal(Sockets.all.length, 2);
  assert.equal(pgws.transport, "sse");
  server.stream.say(message("a", "p-5", "by SSE"));
  await settle();
  server.stream.end();
  await settle();
  await pass(told.states.at(-1).delay);
  assert.equal(Sockets.all.length, 2, "what broke is opened again");
  assert.equal(gets().length, 2);
  for (let ms = 0; ms < 300_000; ms += 15_000) {
    server.stream.send(":\n\n");
    await pass(15_000);
  }
  assert.equal(Sockets.all.length, 3);
  assert.equal(pgws.transport, "sse");
  Sockets.opens = true;
  for (let ms = 0; ms < 300_000; ms += 15_000) {
    server.stream.send(":\n\n");
    await pass(15_000);
  }
  await pass(0);
  assert.equal(pgws.transport, "websocket");
  assert.deepEqual(Sockets.last.ops("subscribe"), [{ id: 2, op: "subscribe", channels: ["a"], since: "p-5" }]);
  assert.deepEqual([told.seen, told.gaps, told.errors], [["by SSE"], [], []]);
  Sockets.opens = false;
  Sockets.last.shut(1006);
  for (let i = 0; i < 4; i++) await pass(30_000);
  assert.equal(gets().length, 2, "where they have worked they are not blocked");
});

test("a websocket is tried however often streams are cut, and given up with the client", async (t) => {
  const Sockets = fakeWebSocket();
  Sockets.opens = false;
  const { pgws, subscribe, server, pass } = start(t, { transport: "auto", WebSocket: Sockets });
  subscribe("a");
  await settle();
  await pass(500);
  await pass(0);
  assert.equal(Sockets.all.length, 2);
  const fourMinutes = async () => {
    for (let i = 0; i < 16; i++) {
      server.stream.send(":\n\n");
      await pass(15_000);
    }
  };
  for (let cuts = 0; cuts < 4; cuts++) {
    await fourMinutes();
    server.stream.end();
    await settle();
    await pass(500);
  }
  assert.equal(pgws.transport, "sse");
  assert.equal(Sockets.all.length, 2 + 3);
  Sockets.opens = null; // Hangs.
  await fourMinutes();
  assert.equal(Sockets.all.length, 2 + 4);
  assert.ok(!Sockets.last.closed);
  pgws.close();
  assert.ok(Sockets.last.closed);
});

test("where HTTP does not work either, websockets are not given up", async (t) => {
  const Sockets = fakeWebSocket();
  Sockets.opens = false;
  const down = () => Promise.reject(new TypeError("down"));
  const { pgws, subscribe, pass, gets } = start(t, { transport: "auto", WebSocket: Sockets, serve: down });
  subscribe("a");
  for (let i = 0; i < 5; i++) await pass(30_000);
  Sockets.opens = true;
  for (let i = 0; i < 2; i++) await pass(30_000);
  assert.equal(pgws.transport, "websocket");
  assert.ok(gets().length < Sockets.all.length);
});
