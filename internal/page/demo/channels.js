// The list of joined channels: one connection each, its state in words, and which one is looked at and sent to.

/** @typedef {import("./connection.js").Connection} Connection */

/** @type {Record<string, string>} */
const STATES = { connecting: "connecting …", open: "open", waiting: "trying again", closed: "closed" };

export class Channels {
  #list = /** @type {HTMLElement} */ (document.getElementById("channels"));
  #all = /** @type {HTMLButtonElement} */ (document.getElementById("view-all"));
  #target = /** @type {HTMLSelectElement} */ (document.getElementById("send-to"));
  #frame = 0;
  #make;
  #on;
  /** @type {Map<?string, {connection: Connection, row: HTMLElement, option: HTMLOptionElement, received: number}>} */ #joined = new Map();

  /**
   * @param {(channel: ?string) => Connection} make
   * @param {{view: (channel: ?string|undefined) => void, target: (c: Connection|undefined) => void, reconnect: (c: Connection) => void,
   *   left: () => void}} on
   */
  constructor(make, on) {
    this.#make = make;
    this.#on = on;
    this.#all.addEventListener("click", () => this.look(undefined));
    this.#target.addEventListener("change", () => on.target(this.target));
  }

  /** The connection that messages go to. @returns {Connection|undefined} */
  get target() {
    return [...this.#joined.values()].find((j) => j.option.selected)?.connection;
  }

  get connections() {
    return [...this.#joined.values()].map((j) => j.connection);
  }

  /** Joins, or turns to what is joined already. @param {?string} channel null: all channels of the token */
  join(channel) {
    if (!this.#joined.has(channel)) {
      const connection = this.#make(channel);
      const option = new Option(connection.label);
      this.#target.append(option);
      this.#joined.set(channel, { connection, option, row: this.#row(connection), received: 0 });
      connection.open();
    }
    this.#aim(channel);
  }

  /** Shows one channel's messages and sends to it, or shows all. @param {?string|undefined} channel undefined: all */
  look(channel) {
    this.#all.setAttribute("aria-pressed", String(channel === undefined));
    for (const [key, { row }] of this.#joined) {
      row.querySelector(".channel-view")?.setAttribute("aria-pressed", String(key === channel));
    }
    this.#on.view(channel);
    if (channel !== undefined) this.#aim(channel);
  }

  /** Shows the connection's present state. @param {Connection} connection */
  update(connection) {
    const joined = this.#joined.get(connection.channel);
    if (!joined) return;
    const { row } = joined;
    row.dataset.state = connection.state;
    row.dataset.code = String(connection.code);
    part(row, ".channel-state").textContent = STATES[connection.state];
    const code = connection.code ? `${connection.code}: ` : "";
    part(row, ".channel-detail").textContent = connection.detail && code + connection.detail;
    part(row, ".channel-reconnect").hidden = connection.state === "open" || connection.state === "connecting";
  }

  /** Counts a received message. @param {Connection} connection */
  count(connection) {
    const joined = this.#joined.get(connection.channel);
    if (joined) joined.received++;
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#showCounts());
  }

  #showCounts() {
    this.#frame = 0;
    for (const { row, received } of this.#joined.values()) part(row, ".channel-count").textContent = received.toLocaleString();
  }

  /** @param {?string} channel */
  #aim(channel) {
    const joined = this.#joined.get(channel);
    if (joined) joined.option.selected = true;
    this.#on.target(joined?.connection);
  }

  /** @param {Connection} connection */
  #leave(connection) {
    connection.close();
    const joined = this.#joined.get(connection.channel);
    joined?.row.remove();
    joined?.option.remove();
    this.#joined.delete(connection.channel);
    this.look(undefined);
    this.#on.target(this.target);
    this.#on.left();
  }

  /** @param {Connection} connection @returns {HTMLElement} */
  #row(connection) {
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("channel-row"));
    const row = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
    row.dataset.connection = connection.label;
    part(row, ".channel-name").textContent = connection.label;
    const view = part(row, ".channel-view");
    view.addEventListener("click", () => this.look(view.getAttribute("aria-pressed") === "true" ? undefined : connection.channel));
    const reconnect = part(row, ".channel-reconnect");
    reconnect.setAttribute("aria-label", `Reconnect ${connection.label}`);
    reconnect.addEventListener("click", () => this.#on.reconnect(connection));
    const leave = part(row, ".channel-leave");
    leave.setAttribute("aria-label", `Leave ${connection.label}`);
    leave.addEventListener("click", () => this.#leave(connection));
    this.#list.append(row);
    return row;
  }
}

/** @param {Element} row @param {string} selector */
function part(row, selector) {
  return /** @type {HTMLElement} */ (row.querySelector(selector));
}
