// A whole pgws client: join a channel with a token, show what arrives, send what is typed.

const join = document.querySelector("#join");
const send = document.querySelector("#send");
const state = document.querySelector("#state");
const messages = document.querySelector("#messages");
let socket;

// A link may bring the token as /#TOKEN. What follows # never reaches a server or its log, as a query string would.
if (location.hash) {
  join.elements.token.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
}

join.addEventListener("submit", (event) => {
  event.preventDefault();
  const channel = join.elements.channel.value;
  const token = join.elements.token.value.trim();

  socket?.close();
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const joined = new WebSocket(`${scheme}://${location.host}/${encodeURIComponent(channel)}/${token}`);
  socket = joined;
  state.textContent = "Joining …";

  joined.onopen = () => show(`Joined ${channel}.`, true);
  joined.onmessage = (event) => {
    const line = document.createElement("li");
    line.textContent = textOf(event.data);
    messages.append(line);
  };
  // 3001: the token has expired. 1006: the connection broke, or the server refused the token.
  joined.onclose = (event) => show(`Closed: ${event.code} ${event.reason}`, false);

  function show(text, open) {
    if (joined !== socket) return; // Another channel has been joined since.
    state.textContent = text;
    send.querySelector("button").disabled = !open;
  }
});

send.addEventListener("submit", (event) => {
  event.preventDefault();
  socket.send(send.elements.text.value);
  send.reset();
});

// What pgws and most SQL send is {"event", "channel", "payload", "claims"}; but a NOTIFY may carry any text.
function textOf(data) {
  try {
    const { payload, claims } = JSON.parse(data);
    if (typeof payload === "string") return claims?.sub ? `${claims.sub}: ${payload}` : payload;
  } catch {
    // Not JSON: shown as it is.
  }
  return data;
}
