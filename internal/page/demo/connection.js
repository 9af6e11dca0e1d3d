// The page's connection: one client of pgws for all channels, and its state in words. Changed claims get a new client.

import { exactly, read } from "./message.js";
import { connect, PgwsError } from "./pgws.js";

/** @typedef {import("../../../clients/js/pgws.js").Client} Client */
/** @typedef {import("../../../clients/js/pgws.js").Why} Why */
/** @typedef {import("./message.js").Message} Message */

const MOST_UNANSWERED = 1000; // messages sent whose return is still awaited

// Close codes.
const NORMAL = 1000;
const UNAUTHORIZED = 3000;
const EXPIRED = 3001;

export class Connection {
  /** @type {Client["state"]} */ state = "connecting";
  /** Of the connection that ended last, 0 before any. */ code = 0;
  /** Why it ended, in words. */ detail = "";
  /** ms until the next attempt. */ delay = 0;
  #on;
  /** @type {Client|undefined} */ #client;
  #problem = ""; // why there is no token
  /** @type {{channel: string, text: string, at: number}[]} */ #unanswered = [];

  /**
   * Connects.
   * @param {object} on
   * @param {() => Promise<string>} on.token is asked for each connection, because `pgws dev` has a new secret after each start
   * @param {() => boolean} on.expired whether the next token would be an expired one, too
   * @param {() => void} on.state
   * @param {(message: Message, now: number) => void} on.message now is performance.now() at arrival
   * @param {(channel: string) => void} on.gap
   * @param {(channel: string) => void} on.resumed
   * @param {(error: PgwsError) => void} on.refused
   */
  constructor(on) {
    this.#on = on;
    this.open();
  }

  /** What carries it: "websocket", "sse", or undefined while there is none. */
  get transport() {
    return this.#client?.transport;
  }

  /** Connects by a new client. All channels are to be subscribed to again. */
  open() {
    const old = this.#client;
    const client = connect("/", {
      token: this.#on.token,
      parse: exactly,
      onstate: (state, why) => client === this.#client && this.#become(state, why),
      ongap: ({ channel }) => this.#on.gap(channel),
      onresume: ({ channel }) => this.#on.resumed(channel),
      onerror: (error) => client === this.#client && this.#fail(error),
    });
    this.#client = client;
    this.#unanswered = [];
    this.state = "connecting";
    old?.close();
  }

  /** Does not wait any longer for the next attempt. */
  hurry() {
    dispatchEvent(new Event("online")); // A client that waits tries at once when the network is back.
  }

  /** @param {string} channel */
  subscribe(channel) {
    const client = /** @type {Client} */ (this.#client);
    return client.subscribe(channel, (message) => this.#on.message(read(message), performance.now()));
  }

  /**
   * Sends text. A PgwsError tells that it was not sent, or is uncertain.
   * @param {string} channel @param {string} text @returns {Promise<number>} the ms until PostgreSQL had committed it
   */
  async send(channel, text) {
    const sent = { channel, text, at: performance.now() };
    this.#unanswered.push(sent);
    this.#unanswered.splice(0, this.#unanswered.length - MOST_UNANSWERED);
    try {
      await this.#client?.publish(channel, text);
    } catch (error) {
      if (!(error instanceof PgwsError && error.code === "uncertain")) this.#unanswered = this.#unanswered.filter((u) => u !== sent);
      throw error;
    }
    return performance.now() - sent.at;
  }

  /**
   * How long ago this window sent the message that came back, in ms; null for a message of somebody else.
   * The sender is told by the claim sub, and the messages of one sender come back in order.
   * @param {Message} message @param {unknown} sub of this window @param {number} now
   */
  roundTrip(message, sub, now) {
    if (message.claims?.sub !== sub) return null;
    const i = this.#unanswered.findIndex((u) => u.text === message.text && u.channel === message.channel);
    return i < 0 ? null : now - this.#unanswered.splice(i, 1)[0].at;
  }

  /** @param {Client["state"]} state @param {Why} why */
  #become(state, { code = 0, reason = "", delay = 0 }) {
    if (state === "closed" && code === NORMAL) return; // by what follows
    if ((code === UNAUTHORIZED || code === EXPIRED) && this.#on.expired()) {
      state = "closed"; // The client would ask for tokens for ever.
      this.#client?.close();
    }
    Object.assign(this, { state, code, delay, detail: this.#problem || meaning(code, reason) });
    this.#problem = "";
    this.#on.state();
  }

  /** @param {unknown} error */
  #fail(error) {
    if (error instanceof PgwsError) this.#on.refused(error);
    else this.#problem = error instanceof Error ? error.message : String(error);
  }
}

/** @type {Record<number, string>} */
const MEANINGS = {
  1000: "closed normally",
  1001: "the server is going away",
  1002: "a frame broke the websocket protocol",
  1006: "the connection broke, or the server is away",
  1007: "the text was not UTF-8",
  1009: "the message is too large",
  1011: "the server failed",
  1012: "the server is restarting",
  1013: "too slow: this connection lagged too far behind",
  3000: "the token is missing, bad or expired",
  3001: "the token has expired",
  3003: "the token does not allow this",
};

/** What a close code means, with the server's own words; "" for none. @param {number} code @param {string} reason */
function meaning(code, reason) {
  if (code === 0) return "";
  const known = MEANINGS[code] ?? "closed by the server";
  return `${code} ${known}${reason && ` (“${reason}”)`}`;
}
