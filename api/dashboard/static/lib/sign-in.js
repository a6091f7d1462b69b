// Who is signed in. The key goes to the service once and comes back as a cookie that no script can read.

import { get, post, remove } from "./api.js";
import { button, errorNote, field, input } from "./components.js";
import { h, replace } from "./dom.js";
import { mark } from "./mark.js";

/** The session of this browser, null where nobody is signed in. A link's token in the address signs in at once. */
export async function session() {
  const token = new URLSearchParams(location.hash.slice(1)).get("link");
  if (token) {
    history.replaceState(null, "", location.pathname + location.search);
    try {
      return await post("/dashboard/session", { link: token });
    } catch (error) {
      if (error.status !== 401) throw error;
    }
  }
  try {
    return await get("/dashboard/session");
  } catch (error) {
    if (error.status === 401) return null;
    throw error;
  }
}

export async function signOut() {
  await remove("/dashboard/session");
}

/** The form; calls `done` with the session. */
export function signInPage(done) {
  const key = input({ type: "password", name: "api-key", autocomplete: "off", required: true, placeholder: "rft_sk_…" });
  const problem = h("div", {});
  const form = h(
    "form",
    { class: "stack", on: { submit } },
    field("API key", key, { hint: "It is sent to this service once and not kept in the browser." }),
    problem,
    button("Sign in", null, { kind: "primary", type: "submit" }),
  );
  async function submit(event) {
    event.preventDefault();
    replace(problem);
    try {
      done(await post("/dashboard/session", { api_key: key.value }));
    } catch (error) {
      replace(problem, errorNote(error));
      key.select();
    }
  }
  setTimeout(() => key.focus());
  return h(
    "main",
    { class: "sign-in", id: "main" },
    h(
      "div",
      { class: "card" },
      h("div", { class: "brand" }, mark(), "Touchstone"),
      h("div", {}, h("h1", {}, "Sign in"), h("p", { class: "muted" }, "Watch rewards rise and read what the model wrote.")),
      form,
      h("p", { class: "small muted" }, "No key? The first start of ", h("code", {}, "rft serve"), " prints one; ", h("code", {}, "rft keys create"), " makes more."),
    ),
  );
}
