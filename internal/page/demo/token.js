// Tokens: the server of `pgws dev` signs the claims that the page posts.

/** @typedef {import("./message.js").Claims} Claims */

/** @param {Claims} claims @returns {Promise<string>} */
export async function sign(claims) {
  const answer = await fetch("/.pgws/token", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(claims),
  }).catch(() => {
    throw new Error("the server does not answer");
  });
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return (await answer.json()).token;
}

export const HOUR = 3600; // seconds
const ADJECTIVES = "amber brisk calm clever dapper early gentle golden hazel jolly keen lucky mellow quiet silver swift".split(" ");
const ANIMALS = "badger crane dolphin falcon finch heron lynx marten otter panda raven robin seal stoat tern wren".split(" ");

/** @param {string[]} list */
const anyOf = (list) => list[Math.floor(Math.random() * list.length)];

/** Claims for a newcomer: read and write, a name to be told from other windows, an hour. @returns {Claims} */
export function firstClaims() {
  return lasting({ mode: "rw", sub: `${anyOf(ADJECTIVES)}-${anyOf(ANIMALS)}` }, HOUR);
}

/** The same claims, good for that many seconds from now. @param {Claims} claims @param {number} seconds @returns {Claims} */
export function lasting(claims, seconds) {
  return { ...claims, exp: Math.floor(Date.now() / 1000) + seconds };
}

/** How many seconds claims are still good: below 0 when they have expired, Infinity when they never do. @param {Claims} claims */
export function secondsLeft({ exp }) {
  return typeof exp === "number" ? exp - Date.now() / 1000 : Infinity;
}

/** The channels that a token with these claims names. None: every channel is open to it. @param {Claims} claims */
export function named({ channel, channels }) {
  const all = [channel, ...(Array.isArray(channels) ? channels : [])];
  return [...new Set(all.filter((name) => typeof name === "string"))];
}
