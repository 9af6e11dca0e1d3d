// The colour theme: the system's until the user chooses one. The page waits for this module before its first paint.

const KEY = "pgws-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

/** @returns {"light"|"dark"} what is shown now */
function shown() {
  const chosen = document.documentElement.dataset.theme;
  return chosen === "light" || chosen === "dark" ? chosen : system.matches ? "dark" : "light";
}

/** Makes button switch between light and dark. @param {HTMLButtonElement} button */
export function themeButton(button) {
  const show = () => (button.textContent = shown() === "dark" ? "Light theme" : "Dark theme");
  button.addEventListener("click", () => {
    const next = shown() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // A browser that stores nothing forgets the choice with the page.
    }
    show();
  });
  system.addEventListener("change", show);
  show();
}

try {
  const stored = localStorage.getItem(KEY);
  if (stored) document.documentElement.dataset.theme = stored;
} catch {
  // The same: without storage the system's theme stands.
}
