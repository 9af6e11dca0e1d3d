// The demo page: joins what the modules do.

import { Channels } from "./channels.js";
import { ClaimsPanel } from "./claims.js";
import { wallClock } from "./clock.js";
import { Connection } from "./connection.js";
import { Events } from "./events.js";
import { copyButtons, done, showSQL } from "./guide.js";
import { unaddressable } from "./protocol.js";
import { Stream } from "./stream.js";
import { themeButton } from "./theme.js";

/** @typedef {import("./protocol.js").Message} Message */

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
const sendForm = element("send-form", HTMLFormElement);
const text = element("text", HTMLInputElement);
const status = element("status", HTMLElement);

/** @param {string} words */
function say(words) {
  status.textContent = words;
}

const stream = new Stream();
/** The state that the stream told last: of a server that stays away it tells once, not at each try. */
const noticed = new WeakMap();
const claims = new ClaimsPanel(() => {
  done("claims");
  say("Signed. The channels are joined again with the new token.");
  channels.connections.forEach(reopen);
});
const channels = new Channels(
  (channel) => new Connection(channel, () => claims.sign(), { state: stateChanged, message: received }),
  {
    view: (channel) => stream.show(channel),
    target: (connection) => showSQL(listenChannel, connection?.channel ?? FIRST_CHANNEL),
    reconnect(connection) {
      if (claims.renew()) say("The token had expired: here is one for another hour.");
      reopen(connection);
    },
    left: () => joinChannel.focus(),
  },
);

/** Connects anew because the user asked. @param {Connection} connection */
function reopen(connection) {
  noticed.delete(connection);
  connection.open();
}

/** @param {Connection} connection */
function stateChanged(connection) {
  channels.update(connection);
  const { state, code, detail, label } = connection;
  if (state === "connecting" || noticed.get(connection) === state + code) return;
  noticed.set(connection, state + code);
  const number = code ? `${code} ` : "";
  const words = { open: "joined", waiting: `lost: ${number}${detail}; trying again`, closed: `closed: ${number}${detail}` };
  stream.add({ kind: "notice", view: connection.channel, channel: label, text: words[state], at: Date.now() });
}

/** @param {Connection} connection @param {Message} message @param {number} now */
function received(connection, message, now) {
  const at = wallClock(now);
  const roundTrip = connection.roundTrip(message, now);
  const stamp = message.claims?.message_delivered_at;
  const sinceServer = typeof stamp === "number" ? Math.max(0, at - stamp * 1000) : null;
  channels.count(connection);
  stream.add({
    kind: "message",
    view: connection.channel,
    channel: message.channel || connection.label,
    text: message.text,
    at,
    message,
    took: roundTrip ?? sinceServer,
    own: roundTrip !== null,
  });
  if (roundTrip !== null) done("send");
  else if (message.claims === null) done("sql");
  else if (message.claims.sub !== claims.claims.sub) done("window");
}

joinForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const channel = joinChannel.value;
  const problem = unaddressable(channel);
  if (problem) return say(problem);
  joinChannel.value = "";
  channels.join(channel === "" ? null : channel);
  done("join");
});

sendForm.addEventListener("submit", async (event) => {
  event.preventDefault();
  const words = text.value;
  if (words === "") return say("Write a message first.");
  text.value = "";
  text.focus();
  // After a key or a click the browser draws before it hands over what arrives, and the round trip would hold that frame.
  await new Promise((drawn) => setTimeout(drawn));
  const problem = channels.target ? channels.target.send(words) : "Not sent: no channel is joined.";
  say(problem);
  if (problem) text.value ||= words;
});

element("clear", HTMLButtonElement).addEventListener("click", () => stream.clear());
themeButton(element("theme", HTMLButtonElement));
copyButtons(say);

// The meta channel first, so that it already hears of this window joining.
await new Events().listen(metaChannel);
channels.join(FIRST_CHANNEL);
document.documentElement.dataset.ready = "true";
