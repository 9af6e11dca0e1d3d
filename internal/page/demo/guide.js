// What to try next, ticked off as it happens, and the SQL that goes with it.

/** @typedef {"send"|"window"|"sql"|"join"|"claims"} Step */

/** @type {Set<Step>} */
const ticked = new Set();

/** @param {Step} step */
export function done(step) {
  if (ticked.has(step)) return;
  ticked.add(step);
  const item = /** @type {HTMLElement} */ (document.getElementById(`step-${step}`));
  item.dataset.done = "true";
  const mark = document.createElement("span");
  mark.className = "visually-hidden";
  mark.textContent = " (done)";
  item.append(mark);
}

/** Writes the NOTIFY for a channel. @param {string} listenChannel @param {string} channel */
export function showSQL(listenChannel, channel) {
  const sql = /** @type {HTMLElement} */ (document.getElementById("sql"));
  sql.textContent =
    `SELECT pg_notify(${literal(listenChannel)},\n  json_build_object('channel', ${literal(channel)},\n` +
    `    'event', 'WebsocketMessage',\n    'payload', 'hello from SQL')::text);`;
}

/** @param {string} text @returns {string} an SQL string */
function literal(text) {
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * Makes every button with data-copy copy the text of the element it names. Without a secure origin there is no
 * clipboard: then the text is selected, ready for the keyboard.
 * @param {(text: string) => void} say
 */
export function copyButtons(say) {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      const source = /** @type {HTMLElement} */ (document.getElementById(/** @type {HTMLElement} */ (button).dataset.copy ?? ""));
      try {
        await navigator.clipboard.writeText(source.textContent ?? "");
        say("Copied.");
      } catch {
        getSelection()?.selectAllChildren(source);
        say("Selected: copy it with Ctrl+C or ⌘C.");
      }
    });
  }
}
