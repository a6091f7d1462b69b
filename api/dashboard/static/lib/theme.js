// The theme: the system's until the reader chooses one.

const system = matchMedia("(prefers-color-scheme: dark)");

export function theme() {
  return document.documentElement.dataset.theme;
}

export function toggleTheme() {
  localStorage.setItem("theme", theme() === "dark" ? "light" : "dark");
  apply();
}

/** Calls `listener` whenever the theme has changed, until `signal` aborts. */
export function onTheme(listener, signal) {
  document.addEventListener("themechange", listener, { signal });
}

/** The value of a design token, such as `token("--train")`. */
export function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function apply() {
  const stored = localStorage.getItem("theme");
  document.documentElement.dataset.theme = stored ?? (system.matches ? "dark" : "light");
  document.dispatchEvent(new Event("themechange"));
}

system.addEventListener("change", apply);
