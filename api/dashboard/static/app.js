// The shell: sign-in, navigation, and the page that the address names.

import { button, empty, errorNote, icon, linkButton, loading, toastError } from "./lib/components.js";
import { h, replace } from "./lib/dom.js";
import { mark } from "./lib/mark.js";
import { href, startRouter } from "./lib/router.js";
import { session, signInPage, signOut } from "./lib/sign-in.js";
import { theme, toggleTheme } from "./lib/theme.js";

/** Every page by its address: a module with `title` and `open(page)`, loaded when it is first shown. */
const PAGES = {
  "/": () => import("./pages/jobs.js"),
  "/jobs": () => import("./pages/jobs.js"),
  "/jobs/new": () => import("./pages/new-job.js"),
  "/jobs/:id": () => import("./pages/job.js"),
  "/jobs/:id/rollouts": () => import("./pages/rollouts.js"),
  "/graders": () => import("./pages/graders.js"),
  "/chat": () => import("./pages/chat.js"),
  "/compare": () => import("./pages/compare.js"),
  "/files": () => import("./pages/files.js"),
};
const NAVIGATION = [
  ["Jobs", "/jobs", "jobs"],
  ["Compare", "/compare", "compare"],
  ["Graders", "/graders", "grader"],
  ["Chat", "/chat", "chat"],
  ["Files", "/files", "files"],
];

const app = document.getElementById("app");
let leave = new AbortController();

async function start() {
  replace(app, loading("Opening…"));
  try {
    const who = await session();
    if (who) openShell(who);
    else askToSignIn();
  } catch (error) {
    replace(app, errorNote(error, start));
  }
}

function askToSignIn() {
  leave.abort();
  document.title = "Sign in · Touchstone";
  replace(app, signInPage(openShell));
}

function openShell(who) {
  const main = h("main", { id: "main", tabindex: -1 });
  const links = NAVIGATION.map(([label, path, sign]) => h("a", { href: href(path) }, icon(sign), label));
  replace(
    app,
    h(
      "div",
      { class: "shell" },
      h(
        "div",
        { class: "side" },
        h("a", { class: "brand", href: href("/jobs") }, mark(), "Touchstone"),
        h("nav", { "aria-label": "Main" }, h("ul", {}, links.map((link) => h("li", {}, link)))),
        h("footer", {}, h("span", { class: "clip", title: `Signed in to the project ${who.project_id}` }, who.project_id), h("div", { class: "row" }, themeButton(), button("Sign out", leaveService, { kind: "quiet" }))),
      ),
      main,
    ),
  );
  startRouter(PAGES, (load, params, query) => showPage(main, links, load, params, query));
}

async function showPage(main, links, load, params, query) {
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  for (const link of links) {
    const here = location.pathname.startsWith(link.pathname) || (link.pathname === "/dashboard/jobs" && location.pathname === "/dashboard");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const root = h("div", { class: "page" });
  replace(main, root);
  if (!load) {
    document.title = "Not found · Touchstone";
    replace(root, h("h1", { class: "visually-hidden" }, "Not found"), empty("There is no such page", "The address may have been cut off where it was copied.", linkButton("To the jobs", href("/jobs"), { kind: "primary" })));
    return;
  }
  const spinner = loading();
  root.append(spinner);
  try {
    const module = await load();
    if (signal.aborted) return;
    const setTitle = (title) => {
      if (!signal.aborted) document.title = `${title} · Touchstone`;
    };
    setTitle(module.title);
    spinner.remove();
    await module.open({ root, params, query, signal, setTitle });
    if (!signal.aborted && !main.contains(document.activeElement)) main.focus({ preventScroll: true });
  } catch (error) {
    if (error.name !== "AbortError" && !signal.aborted) replace(root, h("h1", { class: "visually-hidden" }, "Error"), errorNote(error, () => showPage(main, links, load, params, query)));
  }
}

function themeButton() {
  const label = () => (theme() === "dark" ? "Light" : "Dark");
  const element = button(label(), toggleTheme, { kind: "quiet", icon: "theme", title: "Change between light and dark" });
  document.addEventListener("themechange", () => {
    element.lastChild.textContent = label();
  });
  return element;
}

async function leaveService() {
  await signOut();
  askToSignIn();
}

document.addEventListener("signedout", askToSignIn);
window.addEventListener("unhandledrejection", (event) => toastError(event.reason));
start();
