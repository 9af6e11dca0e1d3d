// Tokens: the server of `pgws dev` signs the claims that the page posts.

/** @typedef {import("./protocol.js").Claims} Claims */

/** The server would not sign: the claims are at fault, trying again is of no use. */
export class SignError extends Error {}

/** @param {Claims} claims @returns {Promise<string>} */
export async function sign(claims) {
  const answer = await fetch("/.pgws/token", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(claims),
  });
  if (answer.ok) return (await answer.json()).token;
  const text = (await answer.text()).trim();
  if (answer.status < 500) throw new SignError(text);
  throw new Error(text);
}

const HOUR = 3600;
const ADJECTIVES = "amber brisk calm clever dapper early gentle golden hazel jolly keen lucky mellow quiet silver swift".split(" ");
const ANIMALS = "badger crane dolphin falcon finch heron lynx marten otter panda raven robin seal stoat tern wren".split(" ");

/** @param {string[]} list */
const anyOf = (list) => list[Math.floor(Math.random() * list.length)];

/** Claims for a newcomer: read and write, a name to be told from other windows, an hour. @returns {Claims} */
export function firstClaims() {
  return { mode: "rw", sub: `${anyOf(ADJECTIVES)}-${anyOf(ANIMALS)}`, exp: inSeconds(HOUR) };
}

/** @param {number} seconds @returns {number} unix seconds */
export function inSeconds(seconds) {
  return Math.floor(Date.now() / 1000) + seconds;
}

/** The same claims, good for an hour from now. @param {Claims} claims @returns {Claims} */
export function renewed(claims) {
  return { ...claims, exp: inSeconds(HOUR) };
}

/** @param {Claims} claims */
export function hasExpired(claims) {
  return typeof claims.exp === "number" && claims.exp <= Date.now() / 1000;
}
