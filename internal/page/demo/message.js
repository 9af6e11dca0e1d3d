// What the page shows of a message.

/** @typedef {Record<string, unknown>} Claims */

/**
 * A message as the page shows it.
 * @typedef {object} Message
 * @property {string} channel
 * @property {string} event    "" when it has none
 * @property {string} text     what to show
 * @property {?Claims} claims  of the sender; null when it had none, such as SQL
 * @property {boolean} raw     it is no JSON object with a channel: its text is all there is
 * @property {unknown} payload the whole notification
 */

/** @param {import("../../../clients/js/pgws.js").Message} message @returns {Message} */
export function read({ channel, payload }) {
  if (typeof payload?.channel !== "string") return { channel, event: "", text: written(payload), claims: null, raw: true, payload };
  const { event, claims } = payload;
  return {
    channel,
    event: typeof event === "string" ? event : "",
    text: written(payload.payload === undefined ? payload : payload.payload),
    claims: claims !== null && typeof claims === "object" ? claims : null,
    raw: false,
    payload,
  };
}

/** @param {unknown} value @returns {string} a string as it is, anything else as JSON */
function written(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/**
 * Parses JSON that is to be written again. Numbers that JavaScript would write otherwise keep their digits, such as 17.50
 * or an id above 2^53: they are objects of JSON.rawJSON. A browser without that rounds them.
 * @param {string} text @returns {any}
 */
export function exactly(text) {
  /** @type {any} */
  const json = JSON;
  if (!json.rawJSON) return JSON.parse(text);
  /** @param {string} _ @param {unknown} value @param {{source: string}} context */
  const keep = (_, value, { source }) => (typeof value === "number" && String(value) !== source ? json.rawJSON(source) : value);
  return json.parse(text, keep);
}

/** When the server had PostgreSQL notify a message, in ms since 1970; NaN when it does not say. @param {Message} message */
export function stamp({ claims }) {
  const at = /** @type {any} */ (claims)?.message_delivered_at;
  return Number(at?.rawJSON ?? at ?? NaN) * 1000;
}
