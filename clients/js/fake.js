// Stand-ins for a server, for tests in which time passes or the network fails. What a real server does is tested by
// js_test.go.

import { connect } from "./pgws.js";

/** Lets all that is due happen, but timers, which the tests move. */
export async function settle() {
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
}

/** When a token ends: another one at another time. */
export const expiry = (token = "") => 1795352315 + [...token].reduce((sum, character) => sum + character.codePointAt(0), 0);

/** Answers a request as a server does that grants everything, and to which nothing else has come. */
export function grant(frame) {
  const { id, op, token, channels, since } = frame;
  if (op === "auth") return { id, op: "ok", mode: "rw", expires: expiry(token), channels: [], position: "p-0" };
  if (op === "subscribe") return { id, op: "ok", channels, position: since ?? "p-0", ...(since && { resumed: true }) };
  if (op === "publish") return { id, op: "ok", message_delivered_at: 1795352315.019831 };
  return { id, op: "ok" };
}

/** Makes a class of websockets. Its `all` has those made, each with the frames `sent`; `answer` says what a server answers. */
export function fakeWebSocket(answer = grant) {
  return class FakeWebSocket {
    static all = [];
    static answer = answer;
    static opens = true;
    static get last() {
      return this.all.at(-1);
    }

    sent = [];

    constructor(url, protocol) {
      Object.assign(this, { url, protocol, closed: false });
      FakeWebSocket.all.push(this);
      const { opens } = FakeWebSocket;
      if (opens) queueMicrotask(() => this.closed || this.onopen({}));
      else if (opens === false) queueMicrotask(() => this.onerror({}));
    }

    send(text) {
      const frame = JSON.parse(text);
      this.sent.push(frame);
      const answer = FakeWebSocket.answer(frame, this);
      if (answer) queueMicrotask(() => this.say(answer));
    }

    say(frame) {
      if (!this.closed) this.onmessage({ data: JSON.stringify(frame) });
    }

    shut(code, reason = "") {
      if (this.closed) return;
      this.closed = true;
      this.onclose({ code, reason });
    }

    close() {
      this.closed = true;
    }

    /** The frames sent with this op. */
    ops(op) {
      return this.sent.filter((frame) => frame.op === op);
    }
  };
}

/** Puts a function in the place of fetch that answers by `answer(request)`, and returns the requests it was asked. */
export function fakeFetch(t, answer) {
  const requests = [];
  t.mock.method(globalThis, "fetch", async (url, { method = "GET", headers, body, signal, credentials }) => {
    const channels = url.searchParams.getAll("channel");
    const request = { method, headers, signal, credentials, channels, url, frame: body && JSON.parse(body) };
    requests.push(request);
    return answer(request);
  });
  return requests;
}

/** An event stream that stays open: `send` sends text or bytes, `end` ends it. */
export function fakeStream(signal) {
  let controller;
  const body = new ReadableStream({ start: (c) => void (controller = c) });
  signal.addEventListener("abort", () => controller.error(signal.reason));
  const send = (text) => controller.enqueue(typeof text === "string" ? new TextEncoder().encode(text) : text);
  const say = (frame) => send(`data: ${JSON.stringify(frame)}\n\n`);
  return { response: new Response(body), send, say, end: () => controller.close() };
}

/** Connects to a stand-in, with time under control, and tells all that the page is told. */
export function start(t, options = {}) {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  const random = t.mock.method(Math, "random", () => 0.5);
  const Sockets = fakeWebSocket(options.answer);
  const told = { states: [], gaps: [], errors: [] };
  const pgws = connect("http://server/", {
    token: () => "a.b.c",
    WebSocket: Sockets,
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
  return { pgws, Sockets, told, pass, random };
}

export const message = (channel, position, text) => ({
  op: "message", channel, position, payload: { event: "WebsocketMessage", channel, payload: text, claims: {} },
});
