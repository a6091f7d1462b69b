// Addresses below /dashboard to pages. Links are plain links; a click on one changes the page without loading it anew.

let routes = [];
let show = () => {};

/** `table` maps patterns such as "/jobs/:id" to anything; `onRoute(route, params, query)` shows it (null: no such page). */
export function startRouter(table, onRoute) {
  routes = Object.entries(table).map(([pattern, route]) => ({ route, parts: split(pattern) }));
  show = onRoute;
  window.addEventListener("popstate", render);
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const url = new URL(link.href);
    if (link.target || link.hasAttribute("download") || url.origin !== location.origin || !ours(url.pathname)) return;
    if (url.pathname === location.pathname && url.search === location.search && url.hash) return;
    event.preventDefault();
    navigate(url.pathname.slice("/dashboard".length) + url.search);
  });
  render();
}

/** Go to a page: `navigate("/jobs/ftjob-1?step=3")`. */
export function navigate(path, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", `/dashboard${path}`);
  render();
  window.scrollTo(0, 0);
}

/** Write values into the address, so that it can be shared, without showing the page anew; null takes one away. */
export function setQuery(values) {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === undefined || value === "") url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  history.replaceState(null, "", url);
}

/** The address of a page, for `href`. */
export function href(path, query = {}) {
  const url = new URL(`/dashboard${path}`, location.origin);
  for (const [name, value] of Object.entries(query)) if (value !== null && value !== undefined) url.searchParams.set(name, value);
  return url.pathname + url.search;
}

function render() {
  const parts = split(location.pathname.replace(/^\/dashboard/, ""));
  for (const { route, parts: wanted } of routes) {
    const params = match(wanted, parts);
    if (params) return show(route, params, new URLSearchParams(location.search));
  }
  return show(null, {}, new URLSearchParams());
}

function ours(path) {
  return path === "/dashboard" || path.startsWith("/dashboard/");
}

function split(path) {
  return path.split("/").filter(Boolean);
}

function match(wanted, parts) {
  if (wanted.length !== parts.length) return null;
  const params = {};
  for (const [index, part] of wanted.entries()) {
    if (part.startsWith(":")) {
      try {
        params[part.slice(1)] = decodeURIComponent(parts[index]);
      } catch {
        return null;
      }
    } else if (part !== parts[index]) return null;
  }
  return params;
}
