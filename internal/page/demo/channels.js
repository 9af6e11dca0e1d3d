// The list of joined channels: the state of each in words, how many messages it had, and which one is looked at and sent to.

/** @typedef {import("./connection.js").Connection} Connection */
/** @typedef {import("../../../clients/js/pgws.js").Subscription} Subscription */

/**
 * @typedef {object} Joined
 * @property {string} channel
 * @property {HTMLElement} row
 * @property {HTMLOptionElement} option
 * @property {number} received
 * @property {Subscription} [subscription]
 * @property {"connecting"|"open"|"closed"} state what the server has said to the subscription
 * @property {string} detail
 */

/** @type {Record<string, string>} */
const STATES = { connecting: "connecting …", open: "open", waiting: "trying again", closed: "closed" };

export class Channels {
  #list = /** @type {HTMLElement} */ (document.getElementById("channels"));
  #all = /** @type {HTMLButtonElement} */ (document.getElementById("view-all"));
  #target = /** @type {HTMLSelectElement} */ (document.getElementById("send-to"));
  #frame = 0;
  #connection;
  #on;
  /** @type {Map<string, Joined>} */ #joined = new Map();

  /**
   * @param {Connection} connection
   * @param {{view: (channel: string|undefined) => void, target: (channel: string) => void, joined: (channel: string) => void,
   *   left: () => void}} on
   */
  constructor(connection, on) {
    this.#connection = connection;
    this.#on = on;
    this.#all.addEventListener("click", () => this.look(undefined));
    this.#target.addEventListener("change", () => on.target(this.target));
  }

  /** The channel that messages go to, "" when none is joined. */
  get target() {
    return this.#target.value;
  }

  /** Joins, or turns to what is joined already. @param {string} channel */
  join(channel) {
    if (!this.#joined.has(channel)) {
      const option = new Option(channel, channel);
      this.#target.append(option);
      /** @type {Joined} */
      const joined = { channel, option, row: this.#row(channel), received: 0, state: "connecting", detail: "" };
      this.#joined.set(channel, joined);
      this.#subscribe(joined);
    }
    this.#aim(channel);
  }

  /** Joins all again: the connection has another client. */
  rejoin() {
    for (const joined of this.#joined.values()) this.#subscribe(joined);
  }

  /** Shows one channel's messages and sends to it, or shows all. @param {string|undefined} channel undefined: all */
  look(channel) {
    this.#all.setAttribute("aria-pressed", String(channel === undefined));
    for (const { row, channel: name } of this.#joined.values()) {
      row.querySelector(".channel-view")?.setAttribute("aria-pressed", String(name === channel));
    }
    this.#on.view(channel);
    if (channel !== undefined) this.#aim(channel);
  }

  /** Shows the connection's present state. */
  update() {
    for (const joined of this.#joined.values()) this.#show(joined);
  }

  /** The server does not open a channel, or closes it. @param {string} channel @param {string} detail why */
  refused(channel, detail) {
    const joined = this.#joined.get(channel);
    if (joined) this.#become(joined, "closed", detail);
  }

  /** Counts a received message. @param {string} channel */
  count(channel) {
    const joined = this.#joined.get(channel);
    if (joined) joined.received++;
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#showCounts());
  }

  #showCounts() {
    this.#frame = 0;
    for (const { row, received } of this.#joined.values()) part(row, ".channel-count").textContent = received.toLocaleString();
  }

  /** @param {Joined} joined */
  #subscribe(joined) {
    joined.subscription?.unsubscribe();
    const subscription = this.#connection.subscribe(joined.channel);
    joined.subscription = subscription;
    this.#become(joined, "connecting", "");
    subscription.ready.then(
      () => {
        if (joined.subscription !== subscription) return;
        this.#become(joined, "open", "");
        this.#on.joined(joined.channel);
      },
      () => {}, // refused() is called for this.
    );
  }

  /** @param {Joined} joined @param {Joined["state"]} state @param {string} detail */
  #become(joined, state, detail) {
    Object.assign(joined, { state, detail });
    this.#show(joined);
  }

  /** @param {Joined} joined */
  #show({ row, state, detail }) {
    const carried = this.#connection.state;
    const shown = state !== "closed" && carried !== "open" ? carried : state;
    row.dataset.state = shown;
    part(row, ".channel-state").textContent = STATES[shown];
    part(row, ".channel-detail").textContent = detail;
    part(row, ".channel-reconnect").hidden = state !== "closed" || carried !== "open";
  }

  /** @param {string} channel */
  #aim(channel) {
    const joined = this.#joined.get(channel);
    if (joined) joined.option.selected = true;
    this.#on.target(channel);
  }

  /** @param {string} channel */
  #leave(channel) {
    const joined = this.#joined.get(channel);
    joined?.subscription?.unsubscribe();
    joined?.row.remove();
    joined?.option.remove();
    this.#joined.delete(channel);
    this.look(undefined);
    this.#on.target(this.target);
    this.#on.left();
  }

  /** @param {string} channel @returns {HTMLElement} */
  #row(channel) {
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("channel-row"));
    const row = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
    row.dataset.connection = channel;
    part(row, ".channel-name").textContent = channel;
    const view = part(row, ".channel-view");
    view.addEventListener("click", () => this.look(view.getAttribute("aria-pressed") === "true" ? undefined : channel));
    const again = part(row, ".channel-reconnect");
    again.setAttribute("aria-label", `Join ${channel} again`);
    again.addEventListener("click", () => this.#subscribe(/** @type {Joined} */ (this.#joined.get(channel))));
    const leave = part(row, ".channel-leave");
    leave.setAttribute("aria-label", `Leave ${channel}`);
    leave.addEventListener("click", () => this.#leave(channel));
    this.#list.append(row);
    return row;
  }
}

/** @param {Element} root @param {string} selector */
function part(root, selector) {
  return /** @type {HTMLElement} */ (root.querySelector(selector));
}
