// The stream of messages: all channels or one, the newest KEPT of each, drawn once a frame however many arrive.

import { duration, timeOfDay } from "./clock.js";

/** @typedef {import("./message.js").Message} Message */

/**
 * One line of the stream.
 * @typedef {object} Entry
 * @property {"message"|"notice"} kind a notice is the page's own word
 * @property {string} channel    that it belongs to; "" for a notice on the connection
 * @property {string} text
 * @property {number} at         ms since 1970
 * @property {"warn"|"bad"} [tone] of a notice
 * @property {Message} [message] of a message
 * @property {?number} [took]    ms; null when not known
 * @property {boolean} [own]     sent by this window: took is the round trip, else the time since the server's stamp
 */

const KEPT = 500;
const BATCH = 40; // rows drawn in one frame, to leave it time for everything else
const ANNOUNCE_EVERY = 700; // ms; a screen reader hears a summary, not each of a thousand lines

/** The newest entries, KEPT at least, numbered from 0 by their arrival. */
class Newest {
  /** The number of the next entry. */ end = 0;
  messages = 0;
  /** @type {Entry[]} */ #entries = [];

  /** The number of the oldest entry that is still here. */
  get start() {
    return this.end - this.#entries.length;
  }

  /** @param {Entry} entry */
  push(entry) {
    this.end++;
    if (entry.kind === "message") this.messages++;
    this.#entries.push(entry);
    // Cut seldom: cutting at each push would move the whole array each time.
    if (this.#entries.length >= 2 * KEPT) this.#entries.splice(0, this.#entries.length - KEPT);
  }

  /** The entries with numbers from start to before end. @param {number} start @param {number} end */
  slice(start, end) {
    return this.#entries.slice(start - this.start, end - this.start);
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
  // The rows of the log are the entries of the shown view with numbers from #start to before #end.
  #start = 0;
  #end = 0;
  #frame = 0;
  #following = true; // the newest entry is in sight; who looks back is not disturbed by new ones
  #top = 0; // where the log was scrolled to
  #unannounced = 0;
  #announced = /** @type {Entry} */ ({});
  /** @type {WeakMap<Element, Message>} */ #messages = new WeakMap();

  constructor() {
    this.#log.addEventListener("scroll", () => {
      const { scrollTop, scrollHeight, clientHeight } = this.#log;
      if (scrollHeight - scrollTop - clientHeight < 48) this.#following = true;
      else if (scrollTop < this.#top) this.#following = false; // a message that unfolds below is no looking back
      this.#top = scrollTop;
      this.#draw();
    });
    this.#newest.addEventListener("click", () => {
      this.#toEnd();
      this.#draw();
      this.#log.focus();
    });
    new ResizeObserver(() => this.#following && this.#toEnd()).observe(this.#log);
    // The whole frame is written out only when somebody looks at it; toggle does not bubble, so it is caught on its way down.
    this.#log.addEventListener("toggle", (event) => this.#unfold(/** @type {HTMLDetailsElement} */ (event.target)), true);
  }

  /** @param {Entry} entry */
  add(entry) {
    this.#view(ALL).push(entry);
    this.#view(entry.channel).push(entry);
    this.#announce(entry);
    this.#draw();
  }

  /** Shows one channel's entries, or all. @param {string|undefined} channel undefined: all */
  show(channel) {
    this.#shown = channel === undefined ? ALL : channel;
    this.#restart();
  }

  /** Forgets every entry. */
  clear() {
    this.#views.clear();
    this.#restart();
  }

  /** @param {unknown} key */
  #view(key) {
    let view = this.#views.get(key);
    if (!view) this.#views.set(key, (view = new Newest()));
    return view;
  }

  #restart() {
    this.#start = this.#end = 0;
    this.#following = true;
    this.#log.replaceChildren();
    this.#draw();
  }

  #draw() {
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#drawNow());
  }

  /** Draws at most BATCH rows: the newest first; older ones in later frames, when nothing new is to be drawn. */
  #drawNow() {
    this.#frame = 0;
    const view = this.#view(this.#shown);
    if (this.#following && this.#end < view.end) {
      if (this.#end < view.end - BATCH) {
        this.#log.replaceChildren();
        this.#start = this.#end = view.end - BATCH;
      }
      this.#log.append(...this.#rows(view, this.#end, view.end));
      this.#end = view.end;
      for (; this.#start < this.#end - KEPT; this.#start++) this.#log.firstElementChild?.remove();
    } else {
      const start = Math.max(view.start, this.#end - KEPT, this.#start - BATCH);
      if (start < this.#start) {
        this.#log.prepend(...this.#rows(view, start, this.#start));
        this.#start = start;
      }
    }
    if (this.#start > Math.max(view.start, this.#end - KEPT)) this.#draw();
    if (this.#following) this.#toEnd();
    this.#newest.hidden = this.#following;
    this.#newest.textContent = this.#end < view.end ? `${(view.end - this.#end).toLocaleString()} newer ↓` : "To the newest ↓";
    const count = view.messages.toLocaleString();
    this.#count.dataset.total = String(view.messages);
    this.#count.textContent = view.end > KEPT ? `${count}, the newest ${KEPT} shown` : count;
  }

  #toEnd() {
    this.#following = true;
    // Any number past the end will do, and asks for no layout.
    this.#log.scrollTop = 1e9;
  }

  /** @param {Newest} view @param {number} start @param {number} end */
  #rows(view, start, end) {
    return view.slice(start, end).map((entry) => (entry.kind === "notice" ? this.#notice(entry) : this.#row(entry)));
  }

  /** @param {Entry} entry */
  #notice(entry) {
    const row = clone("notice-row");
    row.dataset.tone = entry.tone ?? "";
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
    row.dataset.raw = String(message.raw);
    fill(row, ".from", sender(message));
    fill(row, ".channel-tag", entry.channel).style.setProperty("--hue", hue(entry.channel));
    fill(row, ".event", message.raw ? "raw text" : message.event === "WebsocketMessage" ? "" : message.event);
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
    fill(details, "pre", message.raw ? message.text : JSON.stringify(message.payload, null, 2));
  }

  /** Tells a screen reader of the entry, together with those that follow within ANNOUNCE_EVERY. @param {Entry} entry */
  #announce(entry) {
    this.#announced = entry;
    if (++this.#unannounced > 1) return;
    setTimeout(() => {
      const { message, channel, text } = this.#announced;
      const where = message ? `${sender(message)} in ${channel}: ` : channel && `${channel}: `;
      const last = where + text.slice(0, 200);
      this.#announcer.textContent = this.#unannounced === 1 ? last : `${this.#unannounced} new, the last: ${last}`;
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

/** @param {import("./message.js").Claims} claims */
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
