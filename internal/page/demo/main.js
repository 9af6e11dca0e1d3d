// The demo page: joins what the modules do.

import { Channels } from "./channels.js";
import { ClaimsPanel } from "./claims.js";
import { duration, remaining, wallClock } from "./clock.js";
import { Connection } from "./connection.js";
import { Events } from "./events.js";
import { copyButtons, done, showSQL } from "./guide.js";
import { stamp } from "./message.js";
import { Stream } from "./stream.js";
import { themeButton } from "./theme.js";
import { named } from "./token.js";

/** @typedef {import("../../../clients/js/pgws.js").PgwsError} PgwsError */
/** @typedef {import("./message.js").Message} Message */

const FIRST_CHANNEL = "chat";
const { listenChannel = "", metaChannel = "" } = document.body.dataset;

/** @template {HTMLElement} T @param {string} id @param {new () => T} type @returns {T} */
function element(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return found;
}

const joinForm = element("join-form", HTMLFormElement);
const joinChannel = element("join-channel", HTMLInputElement);
const line = element("connection", HTMLElement);
const reconnect = element("reconnect", HTMLButtonElement);
const sendForm = element("send-form", HTMLFormElement);
const text = element("text", HTMLInputElement);
const status = element("status", HTMLElement);

let passing = false; // The status holds no longer than the connection.

/** @param {string} words @param {boolean} [whileOpen] whether they hold no longer than the connection */
function say(words, whileOpen = false) {
  status.textContent = words;
  passing = whileOpen;
}

/**
 * Says in the stream what happened to a channel, or to the connection.
 * @param {string} channel "" for the connection @param {string} words @param {"warn"|"bad"} [tone]
 */
function note(channel, words, tone) {
  stream.add({ kind: "notice", channel, text: words, tone, at: Date.now() });
}

let told = ""; // the state that the stream told last: of a server that stays away it tells once, not at each try
const stream = new Stream();
// The meta channel first, so that it already hears of this window.
const listening = new Events().listen(metaChannel);
const claims = new ClaimsPanel((before) => {
  if (claims.claims.sub !== before.sub) done("claims");
  say("Signed. The channels are joined again with the new token.", true);
  reopen();
});
const connection = new Connection({
  token: async () => {
    await listening;
    if (connection.state === "open" && claims.renews) say("The token is renewed. The connection stays.", true);
    return claims.token();
  },
  expired: () => claims.expired,
  state: stateChanged,
  message: received,
  gap: (channel) => note(channel, "gap: messages may have been missed", "warn"),
  resumed: (channel) => note(channel, "resumed, nothing was missed"),
  refused,
});
const channels = new Channels(connection, {
  view: (channel) => stream.show(channel),
  target: (channel) => showSQL(listenChannel, channel || FIRST_CHANNEL),
  joined: (channel) => note(channel, "joined"),
  left: () => joinChannel.focus(),
});

/** Connects anew because the user asked. */
function reopen() {
  told = "";
  connection.open();
  channels.rejoin();
}

function stateChanged() {
  const { state, code, detail, delay, transport } = connection;
  const by = transport === "sse" ? "SSE and POST" : "websocket";
  const why = transport === "sse" ? "Websockets are blocked on the way." : detail;
  const words = { connecting: "Connecting …", open: `Connected by ${by}`, waiting: `Trying again in ${remaining(delay / 1000)}`, closed: "Closed" };
  line.dataset.state = state;
  line.dataset.code = String(code);
  line.dataset.transport = transport ?? "";
  element("connection-state", HTMLElement).textContent = words[state];
  if (state !== "connecting") element("connection-detail", HTMLElement).textContent = why;
  reconnect.hidden = state === "connecting" || state === "open";
  channels.update();
  if (passing && (state === "waiting" || state === "closed")) say("");
  if (state === "connecting" || told === state + code) return;
  const lost = told.startsWith("open") ? "connection lost" : "no connection";
  told = state + code;
  if (state === "open") note("", `connected by ${by}`);
  else if (state === "waiting") note("", `${lost}: ${detail}; trying again`, "warn");
  else note("", `connection closed: ${detail}`, "bad");
}

/** @param {PgwsError} error */
function refused({ code, message, channel }) {
  if (channel === undefined) {
    // Of a connection that does not open, its state tells the same.
    if (connection.state === "open") say(`The token is not renewed: ${message}.`);
    return;
  }
  channels.refused(channel, `${code}: ${message}`);
  note(channel, `closed: ${code}: ${message}`, "bad");
}

/** @param {Message} message @param {number} now */
function received(message, now) {
  const at = wallClock(now);
  const roundTrip = connection.roundTrip(message, claims.claims.sub, now);
  const since = Math.max(0, at - stamp(message));
  channels.count(message.channel);
  stream.add({
    kind: "message",
    channel: message.channel,
    text: message.text,
    at,
    message,
    took: roundTrip ?? (Number.isNaN(since) ? null : since),
    own: roundTrip !== null,
  });
  if (roundTrip !== null) done("send");
  else if (message.claims === null) done("sql");
  else if (message.claims.sub !== claims.claims.sub) done("window");
}

joinForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const names = joinChannel.value === "" ? named(claims.claims) : [joinChannel.value];
  if (names.length === 0) return say("The token names no channels: write which one to join.");
  joinChannel.value = "";
  for (const name of names) channels.join(name);
  done("join");
});

sendForm.addEventListener("submit", async (event) => {
  event.preventDefault();
  const words = text.value;
  if (words === "") return say("Write a message first.");
  if (channels.target === "") return say("Not sent: no channel is joined.");
  text.value = "";
  text.focus();
  // After a key or a click the browser draws before it hands over what arrives, and the round trip would hold that frame.
  await new Promise((drawn) => setTimeout(drawn));
  if (connection.state !== "open") say("Waiting for a connection …");
  try {
    say(`Committed after ${duration(await connection.send(channels.target, words))}.`);
  } catch (error) {
    const { code, message } = /** @type {PgwsError} */ (error);
    say(code === "uncertain" ? `Uncertain: ${message}. It may have arrived.` : `Not sent: ${code}: ${message}.`);
    if (code !== "uncertain") text.value ||= words;
  }
});

reconnect.addEventListener("click", () => {
  if (connection.state === "waiting") return connection.hurry();
  if (claims.revive()) say("The token had expired: here is one for another hour.");
  reopen();
});
element("clear", HTMLButtonElement).addEventListener("click", () => stream.clear());
themeButton(element("theme", HTMLButtonElement));
copyButtons(say);

channels.join(FIRST_CHANNEL);
document.documentElement.dataset.ready = "true";
