// One websocket that comes back: it connects, waits after a temporary loss and connects again.

import { address, allowed, isTemporary, meaning, parse, refusal } from "./protocol.js";
import { SignError } from "./token.js";

/** @typedef {import("./protocol.js").Message} Message */
/** @typedef {import("./protocol.js").Claims} Claims */
/** @typedef {"connecting"|"open"|"waiting"|"closed"} State */

const FIRST_WAIT = 500; // ms
const LONGEST_WAIT = 8000; // ms
const MOST_UNANSWERED = 1000; // messages sent whose return is still awaited

export class Connection {
  /** @type {State} */ state = "closed";
  /** The last close code, 0 before any. */ code = 0;
  /** What the state means, in words. */ detail = "";
  /** Of the token in use. @type {Claims} */ claims = {};
  #on;
  #sign;
  #attempt = 0; // what belongs to an earlier attempt is ignored
  #wait = FIRST_WAIT;
  #timer = 0;
  /** @type {?WebSocket} */ #socket = null;
  /** @type {{channel: string, text: string, at: number}[]} */ #unanswered = [];

  /**
   * @param {?string} channel null: all channels of the token
   * @param {() => Promise<{token: string, claims: Claims}>} sign makes the token. It is asked at each attempt, because
   *   `pgws dev` has a new secret after each start.
   * @param {{state: (c: Connection) => void, message: (c: Connection, m: Message, now: number) => void}} on
   *   now is performance.now() at arrival
   */
  constructor(channel, sign, on) {
    this.channel = channel;
    this.#sign = sign;
    this.#on = on;
  }

  /** The channel, or what stands for all of the token. */
  get label() {
    return this.channel ?? "all of the token";
  }

  /** Connects, dropping the connection that there may be. */
  open() {
    this.#drop();
    this.#wait = FIRST_WAIT;
    this.#connect();
  }

  close() {
    this.#drop();
    this.#become("closed", 1000, meaning(1000, ""));
  }

  /** Sends text, or says why not. @param {string} text @returns {string} "" when sent */
  send(text) {
    const mode = String(this.claims.mode);
    if (this.state !== "open" || !this.#socket) return `Not sent: ${this.label} is not open.`;
    if (!mode.includes("w")) return `Not sent: mode “${mode}” only receives, the server would ignore it.`;
    const at = performance.now();
    this.#socket.send(text);
    if (!mode.includes("r")) return "";
    const channels = this.channel === null ? allowed(this.claims) : [this.channel];
    for (const channel of channels) this.#unanswered.push({ channel, text, at });
    this.#unanswered.splice(0, this.#unanswered.length - MOST_UNANSWERED);
    return "";
  }

  /**
   * How long ago this connection sent the message that came back, in ms; null for a message of somebody else.
   * The sender is told by the claim sub, and the messages of one sender come back in order.
   * @param {Message} message @param {number} now
   */
  roundTrip(message, now) {
    if (message.claims?.sub !== this.claims.sub) return null;
    const i = this.#unanswered.findIndex((u) => u.text === message.text && u.channel === message.channel);
    return i < 0 ? null : now - this.#unanswered.splice(i, 1)[0].at;
  }

  #drop() {
    this.#attempt++;
    clearTimeout(this.#timer);
    this.#socket?.close(1000);
    this.#socket = null;
    this.#unanswered = [];
  }

  /** @param {State} state @param {number} code @param {string} detail */
  #become(state, code, detail) {
    Object.assign(this, { state, code, detail });
    this.#on.state(this);
  }

  async #connect() {
    const attempt = ++this.#attempt;
    this.#become("connecting", 0, "");
    let signed;
    try {
      signed = await this.#sign();
    } catch (error) {
      if (attempt !== this.#attempt) return;
      if (error instanceof SignError) this.#become("closed", 0, error.message);
      else this.#again(1006, meaning(1006, ""));
      return;
    }
    if (attempt !== this.#attempt) return;
    this.claims = signed.claims;
    const socket = new WebSocket(address(this.channel, signed.token));
    this.#socket = socket;
    socket.onopen = () => {
      if (attempt !== this.#attempt) return;
      this.#wait = FIRST_WAIT;
      this.#become("open", 0, "");
    };
    socket.onmessage = (event) => {
      if (attempt === this.#attempt) this.#on.message(this, parse(String(event.data)), performance.now());
    };
    socket.onclose = ({ code, reason }) => {
      if (attempt === this.#attempt) this.#closed(code, reason);
    };
  }

  /** @param {number} code @param {string} reason */
  #closed(code, reason) {
    const wasOpen = this.state === "open";
    this.#socket = null;
    this.#unanswered = [];
    const refused = wasOpen ? "" : refusal(this.claims, this.channel, Date.now() / 1000);
    if (refused) this.#become("closed", code, `refused: ${refused}`);
    else if (isTemporary(code)) this.#again(code, meaning(code, reason));
    else this.#become("closed", code, meaning(code, reason));
  }

  /** Waits, longer each time, and connects again. @param {number} code @param {string} detail */
  #again(code, detail) {
    const wait = this.#wait * (0.75 + Math.random() / 2);
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
    this.#timer = setTimeout(() => this.#connect(), wait);
    this.#become("waiting", code, detail);
  }
}
