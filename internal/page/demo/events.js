// What the server says on its meta channel: who connected, to what.

import { Connection } from "./connection.js";
import { timeOfDay, wallClock } from "./clock.js";
import { sign } from "./token.js";

/** @typedef {import("./protocol.js").Message} Message */

const KEPT = 50;

export class Events {
  #list = /** @type {HTMLElement} */ (document.getElementById("events"));
  #state = /** @type {HTMLElement} */ (document.getElementById("events-state"));
  /** @type {{message: Message, at: number}[]} */ #fresh = [];

  /**
   * Listens to the meta channel by a token of its own, in the background.
   * @param {string} channel "" when the server has none
   * @returns {Promise<void>} settled when the first try has ended, well or not
   */
  listen(channel) {
    if (!channel) {
      this.#state.textContent = "none, PGWS_META_CHANNEL is not set.";
      return Promise.resolve();
    }
    const claims = { mode: "r", channel, sub: "meta" };
    return new Promise((tried) => {
      new Connection(channel, async () => ({ token: await sign(claims), claims }), {
        state: (c) => {
          this.#state.dataset.state = c.state;
          this.#state.textContent = c.state === "connecting" ? "connecting …" : c.detail || c.state;
          if (c.state !== "connecting") tried();
        },
        message: (_, message, now) => this.#add(message, wallClock(now)),
      }).open();
    });
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
