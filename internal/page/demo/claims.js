// The panel of claims: edits them, has them signed, shows the token and how long it is good.

import { remaining } from "./clock.js";
import { firstClaims, hasExpired, inSeconds, renewed, sign } from "./token.js";

/** @typedef {import("./protocol.js").Claims} Claims */

export class ClaimsPanel {
  /** In use: the last ones that were signed. @type {Claims} */ claims = firstClaims();
  #editor = /** @type {HTMLTextAreaElement} */ (document.getElementById("claims"));
  #problem = /** @type {HTMLElement} */ (document.getElementById("claims-problem"));
  #token = /** @type {HTMLElement} */ (document.getElementById("token"));
  #life = /** @type {HTMLElement} */ (document.getElementById("token-life"));
  #onApply;

  /** @param {() => void} onApply called when new claims have been signed and are in use */
  constructor(onApply) {
    this.#onApply = onApply;
    this.#show();
    const first = this.claims;
    const form = /** @type {HTMLFormElement} */ (document.getElementById("claims-form"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#apply(this.#editor.value);
    });
    /** @type {Record<string, () => Claims>} */
    const presets = {
      receive: () => ({ ...this.claims, mode: "r" }),
      expire: () => ({ ...this.claims, exp: inSeconds(10) }),
      reset: () => renewed(first),
    };
    for (const [name, make] of Object.entries(presets)) {
      document.getElementById(`preset-${name}`)?.addEventListener("click", () => this.#apply(JSON.stringify(make())));
    }
    setInterval(() => this.#showLife(), 1000);
  }

  /** Signs the claims in use. */
  async sign() {
    const claims = this.claims;
    const token = await sign(claims);
    this.#token.textContent = token;
    this.#showLife();
    return { token, claims };
  }

  /** Gives expired claims another hour. @returns {boolean} whether they had expired */
  renew() {
    if (!hasExpired(this.claims)) return false;
    this.claims = renewed(this.claims);
    this.#show();
    return true;
  }

  /** @param {string} text */
  async #apply(text) {
    const before = this.claims;
    try {
      this.claims = object(text);
      await this.sign();
    } catch (error) {
      this.claims = before;
      this.#complain(error instanceof Error ? error.message : String(error));
      return;
    }
    this.#complain("");
    this.#show();
    this.#onApply();
  }

  /** @param {string} problem "" for none */
  #complain(problem) {
    this.#problem.textContent = problem;
    this.#editor.setAttribute("aria-invalid", String(problem !== ""));
  }

  #show() {
    this.#editor.value = JSON.stringify(this.claims, null, 2);
    this.#showLife();
  }

  #showLife() {
    const { exp } = this.claims;
    const left = typeof exp === "number" ? exp - Date.now() / 1000 : Infinity;
    const text = left === Infinity ? "Never expires" : left <= 0 ? "Expired" : `Expires in ${remaining(left)}`;
    if (this.#life.textContent !== text) this.#life.textContent = text;
  }
}

/** @param {string} text @returns {Claims} */
function object(text) {
  const claims = JSON.parse(text);
  if (claims === null || typeof claims !== "object" || Array.isArray(claims)) throw new Error("The claims must be a JSON object.");
  return claims;
}
