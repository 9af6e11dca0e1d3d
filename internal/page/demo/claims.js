// The panel of claims: edits them, has them signed, shows the token and how long it is good.

import { remaining } from "./clock.js";
import { firstClaims, HOUR, lasting, secondsLeft, sign } from "./token.js";

/** @typedef {import("./message.js").Claims} Claims */

export class ClaimsPanel {
  /** In use: the last ones that were signed. @type {Claims} */ claims = firstClaims();
  #span = HOUR; // seconds for which a renewed token is good; 0: there is nothing to renew
  #signed = ""; // a token that no connection has had yet
  #editor = /** @type {HTMLTextAreaElement} */ (document.getElementById("claims"));
  #problem = /** @type {HTMLElement} */ (document.getElementById("claims-problem"));
  #renew = /** @type {HTMLInputElement} */ (document.getElementById("renew"));
  #token = /** @type {HTMLElement} */ (document.getElementById("token"));
  #life = /** @type {HTMLElement} */ (document.getElementById("token-life"));
  #onApply;

  /** @param {(before: Claims) => void} onApply called when new claims have been signed and are in use, with those before */
  constructor(onApply) {
    this.#onApply = onApply;
    this.#show();
    const first = this.claims;
    const form = /** @type {HTMLFormElement} */ (document.getElementById("claims-form"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#apply(this.#editor.value);
    });
    /** @param {string} name @param {(claims: Claims) => Claims} make @param {boolean} [renew] */
    const preset = (name, make, renew) =>
      document.getElementById(`preset-${name}`)?.addEventListener("click", () => {
        this.#renew.checked = renew ?? this.#renew.checked;
        this.#apply(JSON.stringify(make(this.claims)));
      });
    preset("receive", (claims) => ({ ...claims, mode: "r" }));
    preset("expire", (claims) => lasting(claims, 10), false); // It is there to see the end.
    preset("reset", () => lasting(first, HOUR), true);
    setInterval(() => this.#showLife(), 1000);
  }

  /** Whether a later token is good for longer than this one. */
  get renews() {
    return this.#renew.checked && this.#span > 0;
  }

  /** Whether the next token will be an expired one. */
  get expired() {
    return secondsLeft(this.claims) <= 0 && !this.renews;
  }

  /** A token for a connection, or to renew the one that it has. */
  async token() {
    const signed = this.#signed;
    this.#signed = "";
    if (signed) return signed;
    if (this.renews) this.#extend(this.#span);
    return this.#sign(this.claims);
  }

  /** Gives expired claims another hour. @returns {boolean} whether they had expired */
  revive() {
    if (secondsLeft(this.claims) > 0) return false;
    this.#span = HOUR;
    this.#extend(HOUR);
    return true;
  }

  /** @param {Claims} claims */
  async #sign(claims) {
    const token = await sign(claims);
    this.#token.textContent = token;
    return token;
  }

  /** @param {string} text */
  async #apply(text) {
    const before = this.claims;
    try {
      const claims = object(text);
      this.#signed = await this.#sign(claims);
      this.claims = claims;
    } catch (error) {
      this.#complain(error instanceof Error ? error.message : String(error));
      return;
    }
    const left = secondsLeft(this.claims);
    this.#span = left === Infinity ? 0 : Math.max(0, Math.ceil(left));
    this.#complain("");
    this.#show();
    this.#onApply(before);
  }

  /** Makes the claims last from now on. Who edits them is not disturbed. @param {number} seconds */
  #extend(seconds) {
    const untouched = this.#editor.value === written(this.claims);
    this.claims = lasting(this.claims, seconds);
    if (untouched) this.#show();
    this.#showLife();
  }

  /** @param {string} problem "" for none */
  #complain(problem) {
    this.#problem.textContent = problem;
    this.#editor.setAttribute("aria-invalid", String(problem !== ""));
  }

  #show() {
    this.#editor.value = written(this.claims);
    this.#showLife();
  }

  #showLife() {
    const left = secondsLeft(this.claims);
    const text = left === Infinity ? "Never expires" : left <= 0 ? "Expired" : `Expires in ${remaining(left)}`;
    if (this.#life.textContent !== text) this.#life.textContent = text;
  }
}

/** @param {Claims} claims */
function written(claims) {
  return JSON.stringify(claims, null, 2);
}

/** @param {string} text @returns {Claims} */
function object(text) {
  const claims = JSON.parse(text);
  if (claims === null || typeof claims !== "object" || Array.isArray(claims)) throw new Error("The claims must be a JSON object.");
  return claims;
}
