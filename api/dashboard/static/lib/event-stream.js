// Server-sent events of a POST, which `EventSource` cannot make.

import { ApiError } from "./api.js";

/** The JSON of each `data` line of a reply, up to `[DONE]`; an error's envelope is thrown as `ApiError`. */
export async function* eventsOf(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    while (true) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (!line.startsWith("data:")) continue;
        const data = line.slice(5).trim();
        if (data === "[DONE]") return;
        const event = JSON.parse(data);
        if (event.error && !event.object) throw new ApiError(reply.status, event.error, reply.headers.get("x-request-id"));
        yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
