// The client of pgws: the protocol pgws.v1 by websocket, or by SSE and POST where websockets are blocked. pgws.d.ts says
// what a page may rely on. A Client keeps what outlives connections. A Session is one connection: a Socket or a Stream.

/** @import * as api from "./pgws.js" */
/** @typedef {{op: string, id?: number, [member: string]: any}} Frame */

const PROTOCOL = "pgws.v1";

// Milliseconds.
const TOKEN_TIMEOUT = 10_000;
const ANSWER_TIMEOUT = 15_000; // The server gives a publication 10 s.
const SILENCE = 45_000; // Then the server is asked whether it is there: a page does not see the pings of websockets.
const PING_TIMEOUT = 10_000;
const FIRST_DELAY = 1_000; // of connecting again, doubled each time
const LONGEST_DELAY = 30_000;
const STEADY = 10_000; // A connection that was open for so long was a success.
const PUBLISH_WAIT = 30_000; // for a connection
const ASK_AGAIN = 5_000; // for a fresh token
const WEBSOCKET_AGAIN = 300_000; // While SSE is in use, a websocket is tried so often.

const WEBSOCKET_FAILURES = 2; // in a row, before one has worked: then they are blocked
const MOST_UNANSWERED = 1_000; // publications
const MOST_PAYLOAD = 7_999; // bytes of a notification

// Close codes.
const NORMAL = 1000;
const BROKEN = 1006;
const TOO_LARGE = 1009;
const UNAUTHORIZED = 3000;
const EXPIRED = 3001;
const FORBIDDEN = 3003;
/** What would be refused again. @type {Record<number, api.Code>} */
const FINAL = { 1002: "bad_request", [FORBIDDEN]: "forbidden" };

/** @implements {api.PgwsError} */
export class PgwsError extends Error {
  /** @param {api.Code} code @param {string} message @param {string} [channel] */
  constructor(code, message, channel) {
    super(message);
    this.name = "PgwsError";
    this.code = code;
    this.channel = channel;
  }
}

/** @type {typeof api.connect} */
export const connect = (url, options = {}) => new Client(url, options);

/** @implements {api.Client} */
class Client {
  /** @type {api.State} */ state = "connecting";
  /** @type {api.Transport|undefined} */ transport;
  #options;
  #WebSocket;
  #url;
  /** @type {Map<string, Channel>} */ #channels = new Map();
  /** Up to here all has come: of the last message, or answer to a subscribe. @type {string|undefined} */ #position;
  /** @type {Session|undefined} */ #session;
  /** Publications, for a connection. @type {Set<(session?: Session) => void>} */ #waiting = new Set();
  /** The POSTs of sessions that have ended: what is published later goes after them. */
  #posted = Promise.resolve();
  #unanswered = 0;
  #failures = 0; // of websockets; -Infinity once one has worked, Infinity once SSE has in their stead
  #tried = 0; // when a websocket was, last
  #pause = new AbortController();
  #closed = new AbortController();

  /** @param {string|URL} url @param {api.Options} options */
  constructor(url, options) {
    const { transport = "auto", WebSocket = globalThis.WebSocket } = options;
    if (!["auto", "websocket", "sse"].includes(transport)) throw new TypeError(`pgws: there is no transport ${transport}`);
    if (transport === "websocket" && !WebSocket) throw new TypeError("pgws: there is no WebSocket here");
    if (transport === "websocket") this.#failures = -Infinity;
    this.#options = options;
    this.#WebSocket = transport === "sse" ? undefined : WebSocket;
    this.#url = new URL(url, globalThis.location?.href);
    this.#url.hash = "";
    if (!/^(http|ws)s?:$/.test(this.#url.protocol)) throw new TypeError(`pgws: no server is at ${this.#url.protocol}`);
    const { signal } = this.#closed;
    globalThis.addEventListener?.("online", () => this.#look(), { signal });
    globalThis.document?.addEventListener("visibilitychange", () => document.hidden || this.#look(), { signal });
    queueMicrotask(() => this.#run());
  }

  /** @type {api.Client["subscribe"]} */
  subscribe(name, handler, { ongap } = {}) {
    const channel = this.#channels.get(name) ?? new Channel();
    const subscriber = { handler, ongap };
    channel.subscribers.add(subscriber);
    if (this.state === "closed") channel.fail(new PgwsError("closed", "the client is closed", name));
    else if (!this.#channels.has(name)) {
      this.#channels.set(name, channel);
      if (this.#usable?.channels.has(name)) channel.open(); // It was left just now, and the server does not know yet.
      this.#settle();
    }
    const unsubscribe = () => {
      channel.subscribers.delete(subscriber);
      if (channel.subscribers.size > 0 || this.#channels.get(name) !== channel) return;
      this.#drop(name, "closed", "unsubscribed");
      this.#settle();
    };
    return { channel: name, ready: channel.ready, unsubscribe };
  }

  /** @type {api.Client["publish"]} */
  async publish(channel, payload) {
    const json = JSON.stringify(payload);
    if (json === undefined) throw new TypeError("pgws: the payload is no JSON");
    // The server ends a connection for what is far too large. No text has fewer bytes than UTF-16 units.
    const { length } = typeof payload === "string" ? payload : json;
    if (length > MOST_PAYLOAD) throw new PgwsError("too_large", "more than a notification holds", channel);
    if (this.#unanswered >= MOST_UNANSWERED) throw new PgwsError("unavailable", "too many messages wait", channel);
    const head = JSON.stringify({ op: "publish", channel, echo: this.#options.echo });
    this.#unanswered++;
    try {
      const frame = { op: "publish", channel, text: `${head.slice(0, -1)},"payload":${json}}` };
      const answer = await this.#send(frame, Date.now() + PUBLISH_WAIT);
      return { deliveredAt: answer.message_delivered_at };
    } finally {
      this.#unanswered--;
    }
  }

  close() {
    this.#finish({ code: NORMAL, reason: "closed by the page" });
  }

  /** The session, while it is open. */
  get #usable() {
    return this.state === "open" && !this.#session?.over ? this.#session : undefined;
  }

  /** Connects, again and again. */
  async #run() {
    let refusals = 0; // in a row
    for (let attempt = 0; this.state !== "closed"; attempt++) {
      this.#become("connecting");
      const { code, reason, final, steady, hurry } = await this.#connect();
      this.transport = undefined;
      if (final) {
        this.#tell(new PgwsError(final, reason));
        this.#finish({ code, reason });
      }
      if (this.#closed.signal.aborted) return;
      if (steady) attempt = refusals = 0;
      refusals = code === UNAUTHORIZED || code === EXPIRED ? refusals + 1 : 0;
      if (refusals > 1) this.#tell(new PgwsError("unauthorized", reason)); // A fresh token did not help.
      if (this.#closed.signal.aborted) return; // by the page, which was told
      const delay = hurry || refusals === 1 ? 0 : backoff(attempt);
      this.#pause = new AbortController();
      this.#become("waiting", { code, reason, delay });
      await sleep(delay, this.#pause.signal);
    }
  }

  /**
   * Holds a connection until it ends.
   * @returns {Promise<{code: number, reason: string, final?: api.Code, steady?: boolean, hurry?: boolean}>} final: another
   * would end like this; hurry: to the other transport
   */
  async #connect() {
    let token;
    try {
      token = await this.#token();
    } catch (error) {
      this.#tell(error);
      return { code: BROKEN, reason: "there is no token" };
    }
    if (this.state === "closed") return { code: NORMAL, reason: "" };
    const kind = this.#WebSocket && this.#failures < WEBSOCKET_FAILURES ? "websocket" : "sse";
    const session = (this.#session = this.#start(kind));
    let opened = Infinity;
    const open = session.request({ op: "auth", token }, () => {
      opened = Date.now();
      this.transport = kind;
      if (kind === "sse") this.#failures = Infinity;
      this.#posted.then(() => {
        session.publishing = true;
        for (const publication of this.#waiting) publication(session);
      });
      this.#become("open");
      this.#settle();
    });
    // The channels are asked for at once, the server takes one request after the other.
    Promise.all([open, this.#reconcile(session)]).catch((error) => session.fail(error));
    if (kind === "sse") this.#awaitWebSocket(session);
    const { code, reason } = await session.ended;
    this.#posted = Promise.all([this.#posted, session.posted]).then(() => {});
    let hurry = opened < Infinity && this.#failures === 0; // Websockets turned out to work.
    if (kind === "websocket") {
      this.#failures = session.heard || code !== BROKEN ? -Infinity : this.#failures + 1;
      hurry = this.#failures >= WEBSOCKET_FAILURES;
    } else if (opened === Infinity && this.#failures < Infinity) this.#failures = 0; // HTTP does not work either.
    // What is sent until it is open, such as the token, would be too large again.
    const final = code === TOO_LARGE && opened === Infinity ? "too_large" : FINAL[code];
    return { code, reason, final, steady: Date.now() - opened >= STEADY, hurry };
  }

  /** @param {api.Transport} kind @returns {Session} */
  #start(kind) {
    const { parse = JSON.parse } = this.#options;
    if (kind === "websocket") this.#tried = Date.now();
    const session = kind === "websocket"
      ? new Socket(this.#WebSocket, this.#url, parse)
      : new Stream(this.#url, parse, this.#closed.signal);
    session.receive = (frame) => this.#receive(session, frame);
    return session;
  }

  /** Ends a session over SSE once websockets work. @param {Session} session */
  async #awaitWebSocket(session) {
    while (this.#WebSocket) {
      await sleep(this.#tried + WEBSOCKET_AGAIN - Date.now(), session.signal);
      if (session.over) return;
      const trial = this.#start("websocket");
      session.signal.addEventListener("abort", () => trial.end(NORMAL, ""), { signal: trial.signal });
      const works = await this.#token().then((token) => trial.request({ op: "auth", token })).then(() => true, () => false);
      trial.end(NORMAL, "");
      if (works) this.#failures = 0;
      if (works) session.end(NORMAL, "websockets work");
    }
  }

  async #token() {
    const { token } = this.#options;
    if (!token) return;
    const settled = new AbortController();
    this.#closed.signal.addEventListener("abort", () => settled.abort(), { signal: settled.signal });
    try {
      const text = await Promise.race([token(), sleep(TOKEN_TIMEOUT, settled.signal)]);
      if (!text) throw new PgwsError("unauthorized", "token() returned nothing");
      return text;
    } finally {
      settled.abort();
    }
  }

  /** Gets a token that is good for longer. @param {Session} session @param {number} seconds that this one is good for */
  async #renew(session, seconds) {
    if (session.renewing || !this.#options.token) return;
    session.renewing = true;
    const deadline = Date.now() + seconds * 1000;
    while (Date.now() < deadline && !session.over) {
      const { expires } = session;
      try {
        const token = await this.#token();
        if (token !== session.token) await session.request({ op: "auth", token });
        if (session.expires !== expires) break;
      } catch (error) {
        if (!session.over) this.#tell(error);
      }
      await sleep(ASK_AGAIN, session.signal);
    }
    session.renewing = false;
  }

  /** Takes what answers no request. @param {Session} session @param {Frame} frame */
  #receive(session, frame) {
    switch (frame.op) {
      case "message": {
        const { channel, position, payload } = frame;
        this.#position = position;
        const data = payload?.event === "WebsocketMessage" ? payload.payload : payload;
        for (const { handler } of this.#subscribers(channel)) call(handler, { channel, position, payload, data });
        break;
      }
      case "gap":
        this.#position = frame.position ?? this.#position; // A Stream tells where it goes on.
        this.#gap(frame.channel);
        break;
      case "expiring":
        this.#renew(session, frame.in);
        break;
      case "unsubscribed":
        for (const name of frame.channels) {
          session.channels.delete(name);
          this.#drop(name, frame.code, "the token does not grant the channel any more");
        }
    }
  }

  /** Has the server open the channels that are subscribed to, and no others. */
  #settle() {
    const session = this.#usable;
    if (session) queueMicrotask(() => this.#reconcile(session).catch((error) => session.fail(error)));
  }

  /** @param {Session} session */
  async #reconcile(session) {
    if (session.reconciling) return;
    session.reconciling = true;
    for (;;) {
      const left = [...session.channels].filter((name) => !this.#channels.has(name));
      const missing = [...this.#channels.keys()].filter((name) => !session.channels.has(name));
      const known = missing.filter((name) => this.#channels.get(name)?.known);
      if (session.over || left.length + missing.length === 0) break;
      const asked = [];
      for (const name of left) session.channels.delete(name);
      if (left.length > 0) asked.push(session.request({ op: "unsubscribe", channels: left }));
      // Those that go on from the position do so together: what they have missed comes in its order.
      if (known.length > 0) asked.push(this.#open(session, known, this.#position));
      else if (missing.length > 0) asked.push(this.#open(session, missing));
      await Promise.all(asked);
    }
    session.reconciling = false;
  }

  /** @param {Session} session @param {string[]} names @param {string} [since] */
  async #open(session, names, since) {
    try {
      await session.request({ op: "subscribe", channels: names, since }, ({ position, resumed }) => {
        this.#position = position;
        for (const name of names) {
          session.channels.add(name);
          const channel = this.#channels.get(name);
          if (channel?.known && resumed) call(this.#options.onresume, { channel: name });
          else if (channel?.known) this.#gap(name);
          channel?.open();
        }
      });
    } catch (/** @type {any} */ error) {
      if (error.code !== "forbidden" && error.code !== "bad_request") throw error;
      if (names.length === 1) this.#drop(names[0], error.code, error.message);
      // It is not said which. One by one they could not go on in order, so there may be gaps.
      else for (const name of names) await this.#open(session, [name]);
    }
  }

  /** @param {string} name @param {api.Code} code @param {string} reason */
  #drop(name, code, reason) {
    const error = new PgwsError(code, reason, name);
    this.#channels.get(name)?.fail(error);
    this.#channels.delete(name);
    if (code !== "closed") this.#tell(error);
  }

  /** @param {string} name */
  #gap(name) {
    for (const { ongap } of this.#subscribers(name)) call(ongap, { channel: name });
    call(this.#options.ongap, { channel: name });
  }

  /** @param {string} name @returns {Subscriber[]} those there are now, whatever they do to the list */
  #subscribers(name) {
    return [...(this.#channels.get(name)?.subscribers ?? [])];
  }

  /**
   * @param {Frame} frame with its text
   * @param {number} deadline until which it waits for a connection
   * @returns {Promise<Frame>} the answer
   */
  #send(frame, deadline) {
    return new Promise((resolve, reject) => {
      /** @param {Session} [session] */
      const settle = (session) => {
        clearTimeout(timer);
        this.#waiting.delete(settle);
        if (this.state === "closed") return reject(new PgwsError("closed", "the client is closed", frame.channel));
        if (!session) return reject(new PgwsError("timeout", "no connection came in time", frame.channel));
        const answer = session.request(frame).catch((error) => {
          if (!session.over || !["closed", "unauthorized"].includes(error.code)) throw error;
          return this.#send(frame, deadline); // Nothing was sent, and the next connection has a fresh token.
        });
        resolve(answer);
      };
      const timer = setTimeout(settle, deadline - Date.now());
      this.#waiting.add(settle);
      if (this.#usable?.publishing || this.state === "closed") settle(this.#usable);
    });
  }

  /** The network may be back, or may have gone unnoticed. */
  #look() {
    this.#pause.abort();
    this.#usable?.probe();
  }

  /** @param {api.Why} why */
  #finish(why) {
    if (this.state === "closed") return;
    this.#closed.abort();
    this.#pause.abort();
    this.#become("closed", why);
    this.#session?.end(NORMAL, "");
    for (const settle of this.#waiting) settle();
    for (const name of this.#channels.keys()) this.#drop(name, "closed", "the client is closed");
  }

  /** @param {api.State} state @param {api.Why} [why] */
  #become(state, why = {}) {
    this.state = state;
    call(this.#options.onstate, state, why);
  }

  /** @param {unknown} error */
  #tell(error) {
    if (this.state !== "closed") call(this.#options.onerror ?? console.error, error);
  }
}

/** @typedef {{handler: (message: api.Message) => void, ongap?: (gap: api.Gap) => void}} Subscriber */

/** What is subscribed to under one name. */
class Channel {
  /** @type {Set<Subscriber>} */ subscribers = new Set();
  known = false; // It has been open, and can go on from a position.
  /** @type {(error: PgwsError) => void} */ fail = () => {};
  open = () => {};

  constructor() {
    /** @type {Promise<void>} */
    this.ready = new Promise((resolve, reject) => {
      this.fail = reject;
      this.open = () => resolve(void (this.known = true));
    });
    this.ready.catch(() => {}); // A page may look at onerror instead.
  }
}

/** One connection: requests with their answers, and whether anybody is there. Those that extend it carry the frames. */
class Session {
  /** Those open at the server. @type {Set<string>} */ channels = new Set();
  reconciling = false;
  renewing = false;
  publishing = false; // It takes publications.
  /** With the last publication whose answer may come after the end. @type {Promise<unknown>} */ posted = Promise.resolve();
  /** The request of that publication. @type {number|undefined} */ posting;
  /** That it is open with. @type {string|undefined} */ token;
  /** When the token ends. @type {number|undefined} */ expires;
  heard = false;
  /** Takes what answers no request. @type {(frame: Frame) => void} */ receive = () => {};
  /** @type {Map<number|undefined, (answer?: Frame) => void>} */ #requests = new Map();
  #lastHeard = Date.now();
  #lastId = 0;
  #over = new AbortController();
  /** @type {(end: {code: number, reason: string}) => void} */ #ended = () => {};

  constructor() {
    /** @type {Promise<{code: number, reason: string}>} */
    this.ended = new Promise((resolve) => (this.#ended = resolve));
    this.#watch();
  }

  get signal() {
    return this.#over.signal;
  }

  get over() {
    return this.signal.aborted;
  }

  /**
   * @param {Frame} frame and its text, unless that is to be made
   * @param {(answer: Frame) => void} [first] is called with a good answer before the next frame is looked at
   * @returns {Promise<Frame>} the answer; an error "closed" tells that nothing was sent
   */
  request(frame, first, timeout = ANSWER_TIMEOUT) {
    return new Promise((resolve, reject) => {
      /** @param {api.Code} code @param {string} message */
      const fail = (code, message) => reject(new PgwsError(code, message, frame.channel));
      if (this.over) return fail("closed", "the connection has ended");
      const id = ++this.#lastId;
      const settle = (/** @type {Frame|undefined} */ answer) => {
        clearTimeout(timer);
        this.#requests.delete(id);
        this.done(id);
        if (!answer) return fail(frame.op === "publish" ? "uncertain" : "timeout", "no answer came");
        if (answer.op === "error") return fail(answer.uncertain ? "uncertain" : answer.code, answer.message);
        if (frame.op === "auth") this.token = frame.token;
        first?.(answer);
        resolve(answer);
      };
      const timer = setTimeout(settle, timeout);
      this.#requests.set(id, settle);
      const { text = JSON.stringify(frame) } = frame;
      this.send({ ...frame, id }, `{"id":${id},${text.slice(1)}`);
    });
  }

  /** Ends it unless the server answers. */
  async probe() {
    await this.request({ op: "ping" }, undefined, PING_TIMEOUT).catch(({ code }) => {
      if (code === "timeout") this.end(BROKEN, "the server is silent");
    });
  }

  /** @param {Frame} _frame @param {string} _text */
  send(_frame, _text) {}

  /** @param {number} _id of a request that is settled */
  done(_id) {}

  close() {}

  /** @param {Frame} frame from the server */
  hear(frame) {
    if (this.over) return;
    this.heard = true;
    this.#lastHeard = Date.now();
    if (frame.mode) this.expires = frame.expires;
    this.settle(frame);
  }

  /** @param {Frame} frame from the server, which may have come another way */
  settle(frame) {
    const settle = this.#requests.get(frame.id);
    if (settle) settle(frame);
    else this.receive(frame);
  }

  /** @param {number} [id] of a request that gets no answer */
  abandon(id) {
    this.#requests.get(id)?.();
  }

  /** @param {PgwsError} error what it cannot go on with */
  fail({ code, message }) {
    this.end(code === "unauthorized" ? UNAUTHORIZED : code === "forbidden" ? FORBIDDEN : BROKEN, message);
  }

  /** @param {number} code @param {string} reason */
  end(code, reason) {
    if (this.over) return;
    this.#over.abort();
    this.close();
    for (const [id, settle] of this.#requests) if (id !== this.posting) settle();
    this.#ended({ code, reason });
  }

  async #watch() {
    while (!this.over) {
      const silence = Date.now() - this.#lastHeard;
      if (silence >= SILENCE) await this.probe();
      else await sleep(SILENCE - silence, this.signal);
    }
  }
}

/** A websocket. */
class Socket extends Session {
  #socket;
  #opened;
  /** Of an auth without a token: it is answered when the handshake had one. @type {number|undefined} */ #greeting;

  /** @param {any} WebSocket @param {URL} url @param {(text: string) => any} parse */
  constructor(WebSocket, url, parse) {
    super();
    try {
      this.#socket = new WebSocket(url.href.replace(/^http/, "ws"), PROTOCOL);
    } catch (error) {
      this.end(BROKEN, `${error}`); // Such as a websocket without TLS on a page with it.
      return;
    }
    this.#opened = new Promise((resolve) => (this.#socket.onopen = resolve));
    this.#socket.onmessage = (/** @type {{data: string}} */ { data }) => {
      const frame = parse(data);
      this.hear(frame.op === "ready" ? { ...frame, id: this.#greeting } : frame);
    };
    this.#socket.onclose = (/** @type {{code: number, reason: string}} */ { code, reason }) => this.end(code, reason);
    this.#socket.onerror = () => this.end(BROKEN, "the websocket failed"); // In Node 20 no onclose follows.
  }

  /** @param {Frame} frame @param {string} text */
  send(frame, text) {
    if (frame.op === "auth" && frame.token === undefined) this.#greeting = frame.id;
    else this.#opened?.then(() => this.#socket.send(text));
  }

  close() {
    this.#socket?.close();
  }
}

/**
 * The same frames over HTTP: one stream of events, opened anew for each request, and a POST for each publication. While
 * there are no channels, the stream is a POST, too.
 */
class Stream extends Session {
  #url;
  #parse;
  /** @type {string|undefined} */ #token;
  /** @type {Set<string>} */ #channels = new Set();
  /** That the stream has come to. @type {string|undefined} */ #position;
  /** What the next stream answers. @type {Frame[]} */ #asked = [];
  #stream = new AbortController();
  /** Publications: one POST after the other keeps their order. @type {(() => void)[]} */ #turns = [];
  #post = new AbortController();
  #closed;

  /** @param {URL} url @param {(text: string) => any} parse @param {AbortSignal} closed tells that the client is closed */
  constructor(url, parse, closed) {
    super();
    this.#closed = closed;
    this.#parse = parse;
    this.#url = url.href.replace(/^ws/, "http");
  }

  /** @type {Session["request"]} */
  request(frame, first, timeout) {
    const request = () => super.request(frame, first, timeout);
    const { op, since } = frame;
    // A stream goes on from one position for all its channels: it comes to the present before one joins that begins there.
    if (op === "subscribe" && !since && this.#channels.size > 0) return super.request({ op: "ping" }).then(request);
    if (op !== "publish") return request();
    return new Promise((resolve) => {
      this.#turns.push(() => {
        const answer = request();
        if (!this.over) this.posted = answer.catch(() => {});
        resolve(answer);
      });
      this.#turn();
    });
  }

  /** Has the next publication posted, or all refused when it is over. */
  #turn() {
    while (this.#turns.length > 0 && (this.over || this.posting === undefined)) this.#turns.shift()?.();
  }

  /** @param {Frame} frame @param {string} text */
  send(frame, text) {
    const { op, id, token, channels = [], since } = frame;
    if (op === "publish") return this.#publish(text, id);
    if (op === "auth") this.#token = token;
    if (this.#channels.size === 0) this.#position = since; // Others know nothing of where these go on.
    for (const channel of channels) op === "subscribe" ? this.#channels.add(channel) : this.#channels.delete(channel);
    this.#asked.push(frame);
    this.#reopen();
  }

  /** Posts a publication, also when the session ends meanwhile. @param {string} text @param {number} [id] */
  #publish(text, id) {
    this.posting = id;
    this.#post = new AbortController();
    const { signal } = this.#post;
    this.#closed.addEventListener("abort", () => this.abandon(id), { signal });
    this.#ask(text, signal, id);
  }

  /** @param {number} id */
  done(id) {
    if (id !== this.posting) return;
    this.posting = undefined;
    this.#post.abort();
    queueMicrotask(() => this.#turn()); // Unless the answer ends the session.
  }

  close() {
    this.#stream.abort();
    this.#turn();
  }

  #reopen() {
    this.#stream.abort();
    const { signal } = (this.#stream = new AbortController());
    const open = async () => {
      try {
        if (!signal.aborted) await this.#open(signal);
      } catch (error) {
        if (!signal.aborted) this.end(BROKEN, `${error}`);
      }
    };
    queueMicrotask(open); // What is asked at once has one stream.
  }

  /** @param {AbortSignal} signal */
  async #open(signal) {
    if (this.#channels.size === 0) {
      await this.#ask(`{"op":"ping"}`, signal); // Whatever the answer is, the server is there; unless it minds the token.
      if (!signal.aborted) this.#answer({ op: "ready" });
      return;
    }
    /** @type {Record<string, string>} */
    const headers = { Accept: "text/event-stream" };
    if (this.#position) headers["Last-Event-ID"] = this.#position;
    const response = await this.#fetch([...this.#channels], headers, { signal, cache: "no-store" });
    if (!response.ok) return this.#refused(response.status, await response.text());
    for await (const frame of framesOf(response, this.#parse)) {
      if (signal.aborted) return;
      if (frame.op === "close") return this.end(frame.code, frame.reason);
      if (frame.position) this.#position = frame.position;
      if (frame.op === "ready") this.#answer(frame);
      else this.hear(frame);
    }
    this.end(BROKEN, "the stream has ended");
  }

  /** Answers all that was asked. @param {Frame} ready */
  #answer(ready) {
    const asked = this.#asked.splice(0);
    const { position, resumed } = ready;
    if (resumed === false) {
      // Whoever asks for a channel learns by the answer that it has missed something. The others are told.
      const told = asked.flatMap(({ op, channels }) => (op === "subscribe" ? channels : []));
      const others = [...this.#channels].filter((name) => !told.includes(name));
      for (const channel of others) this.hear({ op: "gap", channel, position });
    }
    for (const { id, since } of asked) this.hear({ ...ready, op: "ok", id, resumed: since && resumed });
  }

  /** @param {number} status @param {string} reason */
  #refused(status, reason) {
    if (status === 401) return this.end(UNAUTHORIZED, reason);
    const refused = this.#asked.filter(({ op }) => op === "subscribe");
    if ((status !== 400 && status !== 403) || refused.length === 0) return this.end(BROKEN, reason);
    this.#asked = this.#asked.filter(({ op }) => op !== "subscribe");
    for (const { id, channels } of refused) {
      for (const channel of channels) this.#channels.delete(channel);
      this.hear({ op: "error", id, code: status === 403 ? "forbidden" : "bad_request", message: reason });
    }
    this.#reopen();
  }

  /** Posts a frame. @param {string} body @param {AbortSignal} signal @param {number} [id] */
  async #ask(body, signal, id) {
    try {
      const response = await this.#fetch([], {}, { method: "POST", body, signal });
      const answer = await response.json();
      if (!["ok", "error"].includes(answer.op)) throw new Error(`status ${response.status} without a frame`); // of a proxy
      this.settle({ ...answer, id });
      if (answer.code === "unauthorized") this.end(UNAUTHORIZED, answer.message);
    } catch (error) {
      const { aborted } = signal;
      this.abandon(id);
      if (!aborted) this.end(BROKEN, `${error}`);
    }
  }

  /** @param {string[]} channels @param {Record<string, string>} headers @param {RequestInit} init */
  #fetch(channels, headers, init) {
    const url = new URL(this.#url);
    url.searchParams.set("protocol", PROTOCOL);
    for (const channel of channels) url.searchParams.append("channel", channel);
    if (this.#token === undefined) return fetch(url, { ...init, headers, credentials: "include" }); // It is in a cookie.
    return fetch(url, { ...init, headers: { ...headers, Authorization: `Bearer ${this.#token}` } });
  }
}

/**
 * The frames in a stream of events, and one with the op "comment" whenever something comes.
 * @param {Response} response @param {(text: string) => any} parse @returns {AsyncGenerator<Frame>}
 */
async function* framesOf(response, parse) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let data = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    yield { op: "comment" };
    const lines = (rest + decoder.decode(value, { stream: true })).split(/\r\n|\n|\r(?!$)/); // The end may be half of \r\n.
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("data:")) data += line.slice(5); // It is JSON: where the lines ended does not matter.
      else if (line === "" && data !== "") {
        yield parse(data);
        data = "";
      }
    }
  }
}

/** @param {number} attempt */
function backoff(attempt) {
  return Math.random() * Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** attempt);
}

/** @param {number} ms @param {AbortSignal} signal wakes it @returns {Promise<void>} */
function sleep(ms, signal) {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", wake);
      resolve();
    };
    const timer = setTimeout(wake, ms);
    signal.addEventListener("abort", wake);
    if (signal.aborted) wake();
  });
}

/**
 * Calls a function of the page's, which must not break ours.
 * @param {((...about: any[]) => void)|undefined} f @param {any[]} about
 */
function call(f, ...about) {
  try {
    f?.(...about);
  } catch (error) {
    (globalThis.reportError ?? console.error)(error);
  }
}
