import { empty } from "../lib/components.js";

export const title = "rollouts";

export function open({ root }) {
  root.append(empty("Not built yet", "This page is on its way."));
}
