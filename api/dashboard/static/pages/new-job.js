import { empty } from "../lib/components.js";

export const title = "new-job";

export function open({ root }) {
  root.append(empty("Not built yet", "This page is on its way."));
}
