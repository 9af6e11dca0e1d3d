// The stream of messages: all channels or one, the newest KEPT of each, drawn once a frame however many arrive.

import { duration, timeOfDay } from "./clock.js";

/** @typedef {import("./protocol.js").Message} Message */

/**
 * One line of the stream.
 * @typedef {object} Entry
 * @property {"message"|"notice"} kind a notice is the page's own word on a connection
 * @property {?string} view      the connection it belongs to; null: all channels of the token
 * @property {string} channel    shown as a tag
 * @property {string} text
 * @property {number} at         ms since 1970
 * @property {Message} [message] of a message
 * @property {?number} [took]    ms; null when not known
 * @property {boolean} [own]     sent by this window: took is the round trip, else the time since the server's stamp
 */

const KEPT = 500;
const ANNOUNCE_EVERY = 700; // ms; a screen reader hears a summary, not each of a thousand messages

/** The newest KEPT entries, and how many there were in all. */
class Newest {
  total = 0;
  messages = 0;
  /** @type {Entry[]} */ #entries = [];

  /** @param {Entry} entry */
  push(entry) {
    this.total++;
    if (entry.kind === "message") this.messages++;
    this.#entries.push(entry);
    // Cut seldom: cutting at each push would move the whole array each time.
    if (this.#entries.length >= 2 * KEPT) this.#entries.splice(0, this.#entries.length - KEPT);
  }

  /** @param {number} n at most KEPT */
  last(n) {
    return n > 0 ? this.#entries.slice(-n) : [];
  }
}

const ALL = Symbol("all channels");

export class Stream {
  #log = /** @type {HTMLElement} */ (document.getElementById("messages"));
  #count = /** @type {HTMLElement} */ (document.getElementById("message-count"));
  #newest = /** @type {HTMLElement} */ (document.getElementById("to-newest"));
  #announcer = /** @type {HTMLElement} */ (document.getElementById("announcer"));
  /** @type {Map<unknown, Newest>} */ #views = new Map();
  /** @type {unknown} */ #shown = ALL;
  #drawn = 0; // how many entries of the shown view have been drawn or passed over
  #frame = 0;
  #following = true; // the newest entry is in sight and stays in sight
  #unannounced = 0;
  #announced = /** @type {Entry} */ ({});
  /** @type {WeakMap<Element, Message>} */ #messages = new WeakMap();

  constructor() {
    this.#log.addEventListener("scroll", () => {
      this.#following = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 48;
      this.#newest.hidden = this.#following;
    });
    this.#newest.addEventListener("click", () => {
      this.#follow();
      this.#log.focus();
    });
    new ResizeObserver(() => this.#following && this.#follow()).observe(this.#log);
    // The whole frame is written out only when somebody looks at it; toggle does not bubble, so it is caught on its way down.
    this.#log.addEventListener("toggle", (event) => this.#unfold(/** @type {HTMLDetailsElement} */ (event.target)), true);
  }

  /** @param {Entry} entry */
  add(entry) {
    this.#view(ALL).push(entry);
    this.#view(entry.view).push(entry);
    if (entry.kind === "message") this.#announce(entry);
    this.#draw();
  }

  /** Shows one connection's entries, or all. @param {?string|undefined} view undefined: all */
  show(view) {
    this.#shown = view === undefined ? ALL : view;
    this.#restart(0);
  }

  /** Forgets every entry. */
  clear() {
    this.#views.clear();
    this.#restart(0);
  }

  /** @param {unknown} key */
  #view(key) {
    let view = this.#views.get(key);
    if (!view) this.#views.set(key, (view = new Newest()));
    return view;
  }

  /** @param {number} drawn */
  #restart(drawn) {
    this.#drawn = drawn;
    this.#following = true;
    this.#newest.hidden = true;
    this.#log.replaceChildren();
    this.#draw();
  }

  #draw() {
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#drawNow());
  }

  #drawNow() {
    this.#frame = 0;
    const view = this.#view(this.#shown);
    const fresh = view.last(Math.min(view.total - this.#drawn, KEPT));
    this.#drawn = view.total;
    for (let surplus = this.#log.childElementCount + fresh.length - KEPT; surplus > 0; surplus--) {
      this.#log.firstElementChild?.remove();
    }
    this.#log.append(...fresh.map((entry) => (entry.kind === "notice" ? this.#notice(entry) : this.#row(entry))));
    if (this.#following) this.#follow();
    const count = view.messages.toLocaleString();
    this.#count.dataset.total = String(view.messages);
    this.#count.textContent = view.total > KEPT ? `${count}, the newest ${KEPT} shown` : count;
  }

  #follow() {
    this.#following = true;
    this.#newest.hidden = true;
    // Any number past the end will do, and asks for no layout.
    this.#log.scrollTop = 1e9;
  }

  /** @param {Entry} entry */
  #notice(entry) {
    const row = clone("notice-row");
    fill(row, ".channel-tag", entry.channel).style.setProperty("--hue", hue(entry.channel));
    fill(row, ".text", entry.text);
    fill(row, "time", timeOfDay(entry.at));
    return row;
  }

  /** @param {Entry} entry */
  #row(entry) {
    const message = /** @type {Message} */ (entry.message);
    const row = clone("message-row");
    row.dataset.channel = entry.channel;
    row.dataset.own = String(Boolean(entry.own));
    row.dataset.raw = String(message.channel === "");
    fill(row, ".from", sender(message));
    fill(row, ".channel-tag", entry.channel).style.setProperty("--hue", hue(entry.channel));
    fill(row, ".event", message.event === "WebsocketMessage" ? "" : message.event || "raw text");
    fill(row, ".text", entry.text);
    fill(row, "time", timeOfDay(entry.at));
    if (typeof entry.took === "number") {
      row.dataset.took = String(entry.took);
      const took = fill(row, ".took", `${duration(entry.took)} ${entry.own ? "round trip" : "from server"}`);
      took.title = entry.own
        ? "From sending in this window until the message was back, through PostgreSQL"
        : "From the server's stamp just before the NOTIFY until this window had it";
    }
    fill(row, "summary", message.claims ? claimsLine(message.claims) : "no claims");
    this.#messages.set(row, message);
    return row;
  }

  /** @param {HTMLDetailsElement} details */
  #unfold(details) {
    const message = this.#messages.get(/** @type {Element} */ (details.closest("article")));
    if (!details.open || !message) return;
    fill(details, "pre", message.channel ? JSON.stringify(JSON.parse(message.raw), null, 2) : message.raw);
  }

  /** Tells a screen reader of the message, together with those that follow within ANNOUNCE_EVERY. @param {Entry} entry */
  #announce(entry) {
    this.#announced = entry;
    if (++this.#unannounced > 1) return;
    setTimeout(() => {
      const { message, channel, text } = this.#announced;
      const last = `${sender(/** @type {Message} */ (message))} in ${channel}: ${text.slice(0, 200)}`;
      this.#announcer.textContent = this.#unannounced === 1 ? last : `${this.#unannounced} messages, the last from ${last}`;
      this.#unannounced = 0;
    }, ANNOUNCE_EVERY);
  }
}

/** @param {string} id @returns {HTMLElement} */
function clone(id) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById(id));
  return /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
}

/** Puts text, as text, into the one element that matches. @param {Element} root @param {string} selector @param {string} text */
function fill(root, selector, text) {
  const element = /** @type {HTMLElement} */ (root.querySelector(selector));
  element.textContent = text;
  return element;
}

/** Who sent it, as far as the message tells. @param {Message} message */
function sender(message) {
  if (!message.claims) return "SQL";
  return typeof message.claims.sub === "string" ? message.claims.sub : "somebody";
}

/** @param {import("./protocol.js").Claims} claims */
function claimsLine(claims) {
  return Object.entries(claims)
    .filter(([name]) => name !== "message_delivered_at")
    .map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" · ");
}

/** A colour for a channel, the same in every window. @param {string} channel */
function hue(channel) {
  let hash = 0x811c9dc5;
  for (const c of channel) hash = Math.imul(hash ^ (c.codePointAt(0) ?? 0), 0x01000193);
  return String(100 + ((hash >>> 0) % 230)); // From yellow by green and blue to purple: red is for what is wrong.
}
