// Server-sent events that go on where they stopped, and rest while nobody looks.

import { address } from "./api.js";

/**
 * Follows `path` (below `/v1`): `handlers` maps names of events to functions of (data, id). The connection is closed while the
 * page is hidden, since browsers allow few at a time, and taken up again with the last event's id. `onState` hears "live",
 * "waiting" and "ended". Ends when `signal` aborts, or with the stream's own `end` event.
 */
export function follow(path, handlers, { signal, onState = () => {} }) {
  let source = null;
  let last = null;
  let ended = false;

  function open() {
    if (source || ended || signal.aborted || document.hidden) return;
    source = new EventSource(address(path, { last_event_id: last }));
    source.addEventListener("open", () => onState("live"));
    source.addEventListener("error", () => {
      onState("waiting");
      if (source?.readyState === EventSource.CLOSED) {
        close();
        setTimeout(open, 5000);
      }
    });
    for (const [name, handler] of Object.entries({ ...handlers, end: finish })) {
      source.addEventListener(name, (event) => {
        if (event.lastEventId) last = event.lastEventId;
        handler(event.data ? JSON.parse(event.data) : null, event.lastEventId);
      });
    }
  }

  function close() {
    source?.close();
    source = null;
  }

  function finish() {
    ended = true;
    close();
    onState("ended");
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()), { signal });
  signal.addEventListener("abort", close);
  open();
}

/** Calls `action` every `seconds`, while the page is visible and until `signal` aborts; at once when it is visible again. */
export function every(seconds, action, signal) {
  let busy = false;
  const run = async () => {
    if (busy || document.hidden || signal.aborted) return;
    busy = true;
    try {
      await action();
    } finally {
      busy = false;
    }
  };
  const timer = setInterval(run, seconds * 1000);
  document.addEventListener("visibilitychange", run, { signal });
  signal.addEventListener("abort", () => clearInterval(timer));
}
