// The websocket protocol of pgws as a client sees it: addresses, frames, close codes. Nothing here touches the page.

/**
 * A frame. One that is no JSON object with a channel is raw: its text is the whole frame.
 * @typedef {object} Message
 * @property {string} channel   "" when raw
 * @property {string} event     "" when raw or absent
 * @property {string} text      what to show
 * @property {?Claims} claims   of the sender; null when it had none, such as SQL
 * @property {string} raw       the frame, byte for byte
 */

/** @typedef {Record<string, unknown>} Claims */

/**
 * The address of a channel, or of all channels of the token when channel is null.
 * @param {?string} channel @param {string} token
 */
export function address(channel, token) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const path = channel === null ? token : `${encodeURIComponent(channel)}/${token}`;
  return `${scheme}://${location.host}/${path}`;
}

/** Why a channel name cannot stand in an address, or "". @param {string} channel */
export function unaddressable(channel) {
  // A browser takes these as path elements and removes them, percent-encoded ones too.
  if (channel === "." || channel === "..") return `A channel named “${channel}” cannot stand in an address.`;
  return channel.isWellFormed() ? "" : "This name is not well-formed Unicode.";
}

/** @param {string} raw @returns {Message} */
export function parse(raw) {
  /** @type {any} */
  let frame = null;
  try {
    frame = JSON.parse(raw);
  } catch {
    // Any text may be notified; what is no JSON is shown as it is.
  }
  if (typeof frame?.channel !== "string") return { channel: "", event: "", text: raw, claims: null, raw };
  const { channel, event, payload, claims } = frame;
  return {
    channel,
    event: typeof event === "string" ? event : "",
    text: typeof payload === "string" ? payload : payload === undefined ? raw : JSON.stringify(exactly(raw).payload),
    claims: claims !== null && typeof claims === "object" ? claims : null,
    raw,
  };
}

/**
 * JSON that is to be written again: its numbers keep their digits, such as 17.50 or an id above 2^53. A browser without
 * rawJSON rounds them.
 * @param {string} text @returns {any}
 */
export function exactly(text) {
  /** @type {any} */
  const json = JSON;
  if (!json.rawJSON) return JSON.parse(text);
  return json.parse(text, (_, value, { source }) => (typeof value === "number" ? json.rawJSON(source) : value));
}

/** The channels that a token with these claims is bound to; none: every channel is open to it. @param {Claims} claims */
export function allowed(claims) {
  const list = Array.isArray(claims.channels) ? claims.channels : [];
  return [...new Set([claims.channel, ...list].filter((c) => typeof c === "string"))];
}

/**
 * Why the server would refuse a connection with these claims, or "". A browser is not told the reason of a refusal,
 * so the page applies the server's rules itself.
 * @param {Claims} claims @param {?string} channel null: all channels of the token @param {number} now in unix seconds
 */
export function refusal(claims, channel, now) {
  const bound = allowed(claims);
  if (typeof claims.exp === "number" && claims.exp <= now) return "the token has expired";
  if (typeof claims.nbf === "number" && claims.nbf > now) return "the token is not valid yet (nbf)";
  if (!["r", "w", "rw"].includes(String(claims.mode))) return "the claim mode must be r, w or rw";
  if (channel === null && bound.length === 0) return "the token names no channels";
  if (channel !== null && bound.length > 0 && !bound.includes(channel)) return `the token allows only ${bound.join(", ")}`;
  return "";
}

/** @type {Record<number, string>} */
const MEANINGS = {
  1000: "closed normally",
  1001: "the server is going away",
  1002: "a frame broke the websocket protocol",
  1003: "this kind of data is not accepted",
  1005: "closed without a code",
  1006: "the connection broke, or the server is away",
  1007: "the text was not UTF-8",
  1008: "refused by policy",
  1009: "the message is too big: a NOTIFY carries less than 8000 bytes, its JSON and claims included",
  1011: "the server failed",
  1012: "the server is restarting",
  1013: "too slow: this connection lagged too far behind",
  1014: "a gateway failed",
  3001: "the token has expired",
};

/** What a close code means, with the server's own words. @param {number} code @param {string} reason */
export function meaning(code, reason) {
  const known = MEANINGS[code] ?? "closed by the server";
  return reason ? `${known} (“${reason}”)` : known;
}

/** Whether to connect again without being asked: the same request may succeed later. @param {number} code */
export function isTemporary(code) {
  return [1001, 1005, 1006, 1011, 1012, 1013, 1014].includes(code);
}
