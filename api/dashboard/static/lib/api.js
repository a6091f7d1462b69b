// The service's public API, as every client has it; the session's cookie stands in for a key.

export class ApiError extends Error {
  constructor(status, error, requestId) {
    super(error.message ?? "The service sent no explanation.");
    this.status = status;
    this.code = error.code ?? null;
    this.param = error.param ?? null;
    this.requestId = requestId;
  }
}

const HEADERS = { "x-rft-dashboard": "1" };

/** JSON of `path` (below `/v1`, or a whole path that begins with `/dashboard`). `query` values may be arrays; null is left out. */
export async function get(path, { query, signal } = {}) {
  return (await send("GET", path, { query, signal })).json();
}

/** JSON of a POST; `body` is sent as JSON, undefined sends none. */
export async function post(path, body, { signal } = {}) {
  return (await send("POST", path, { body, signal })).json();
}

/** The text of a reply, such as a file's content. */
export async function text(path, { query, signal, headers } = {}) {
  return (await send("GET", path, { query, signal, headers })).text();
}

export async function remove(path) {
  const reply = await send("DELETE", path, {});
  return reply.status === 204 ? null : reply.json();
}

/** The reply itself, for streams and ranges. Throws `ApiError` for all but 2xx and 304. */
export async function send(method, path, { query, body, signal, headers = {} } = {}) {
  const options = { method, signal, headers: { ...HEADERS, ...headers }, credentials: "same-origin" };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["content-type"] = "application/json";
  }
  let reply;
  try {
    reply = await fetch(address(path, query), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { message: "The service does not answer. Is it running? This page goes on as soon as it is back.", code: "unreachable" });
  }
  if (reply.ok || reply.status === 304) return reply;
  throw await failure(reply.status, await reply.text(), reply.headers.get("x-request-id"));
}

/**
 * A question asked again and again: `next()` gives the JSON where it has changed since, and null where it has not (an ETag
 * makes that nearly free for the service).
 */
export function conditional(path, query) {
  let tag = null;
  return {
    async next(signal) {
      const reply = await send("GET", path, { query, signal, headers: tag ? { "if-none-match": tag } : {} });
      if (reply.status === 304) return null;
      tag = reply.headers.get("etag");
      return reply.json();
    },
  };
}

/** POST of a form with files; `onProgress` hears the share that is sent, from 0 to 1. */
export function upload(path, form, { onProgress = () => {}, signal } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address(path));
    for (const [name, value] of Object.entries(HEADERS)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => event.lengthComputable && onProgress(event.loaded / event.total));
    request.addEventListener("load", async () => {
      if (request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(await failure(request.status, request.responseText, request.getResponseHeader("x-request-id")));
    });
    request.addEventListener("error", () => reject(new ApiError(0, { message: "The upload broke off. Please try again.", code: "unreachable" })));
    request.addEventListener("abort", () => reject(new DOMException("The upload was stopped.", "AbortError")));
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/** All items of a list, page by page, up to `most`. */
export async function all(path, { query = {}, signal, most = 1000 } = {}) {
  const items = [];
  let after = null;
  while (items.length < most) {
    const page = await get(path, { query: { limit: 100, ...query, after }, signal });
    items.push(...page.data);
    if (!page.has_more || page.data.length === 0) break;
    after = page.data.at(-1).id;
  }
  return items;
}

/** The address of a `/v1` path, for links that download. */
export function address(path, query = {}) {
  const url = new URL(path.startsWith("/dashboard") ? path : `/v1${path}`, location.origin);
  for (const [name, value] of Object.entries(query)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== null && item !== undefined && item !== "") url.searchParams.append(name, item);
    }
  }
  return url.href;
}

async function failure(status, body, requestId) {
  let error = {};
  try {
    error = JSON.parse(body).error ?? {};
  } catch {
    error = { message: `The service answered ${status}.` };
  }
  if (status === 401) document.dispatchEvent(new Event("signedout"));
  return new ApiError(status, error, requestId);
}
