// What the server says on its meta channel: who connected.

import { timeOfDay, wallClock } from "./clock.js";
import { read } from "./message.js";
import { connect } from "./pgws.js";
import { sign } from "./token.js";

/** @typedef {import("./message.js").Message} Message */

const KEPT = 50;

export class Events {
  #list = /** @type {HTMLElement} */ (document.getElementById("events"));
  #state = /** @type {HTMLElement} */ (document.getElementById("events-state"));
  /** @type {{message: Message, at: number}[]} */ #fresh = [];

  /**
   * Listens to the meta channel in the background: by a token of its own, so by a client of its own.
   * @param {string} channel "" when the server has none
   * @returns {Promise<void>} settled when the first try has ended, well or not
   */
  listen(channel) {
    if (!channel) {
      this.#state.textContent = "none, PGWS_META_CHANNEL is not set.";
      return Promise.resolve();
    }
    return new Promise((tried) => {
      const client = connect("/", {
        token: () => sign({ mode: "r", channel, sub: "meta" }),
        onstate: (state, { reason }) => {
          this.#show(state, state === "waiting" ? "trying again" : state === "connecting" ? "connecting …" : reason || state);
          if (state === "waiting") tried();
        },
        onerror: (error) => {
          this.#show("closed", error instanceof Error ? error.message : String(error));
          tried();
        },
      });
      client.subscribe(channel, (message) => this.#add(read(message), wallClock(performance.now()))).ready.then(tried, () => {});
    });
  }

  /** @param {string} state @param {string} words */
  #show(state, words) {
    this.#state.dataset.state = state;
    this.#state.textContent = words;
  }

  /** @param {Message} message @param {number} at */
  #add(message, at) {
    if (this.#fresh.push({ message, at }) === 1) requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    for (const { message, at } of this.#fresh.slice(-KEPT)) {
      const row = document.createElement("li");
      row.dataset.event = message.event;
      const sub = message.claims?.sub;
      for (const [kind, text] of [
        ["event", message.event || "raw text"],
        ["time", timeOfDay(at)],
        ["text", message.text],
        ["from", typeof sub === "string" ? sub : ""],
      ]) {
        const part = document.createElement("span");
        part.className = kind;
        part.textContent = text;
        row.append(part, " ");
      }
      this.#list.prepend(row);
    }
    this.#fresh = [];
    while (this.#list.childElementCount > KEPT) this.#list.lastElementChild?.remove();
  }
}
