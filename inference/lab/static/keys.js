// The keyboard: one table that acts and that the help shows.

import { byId, describe } from "./dom.js";

const TYPING = "input[type=search], select";
const SLIDER = "input[type=range]";

/**
 * Listen to keys.
 *
 * table: rows {keys: [event.key, ...], shown, does, act}. Keys stay with a field that is typed in, with an open dialog
 * and with the browser's own shortcuts.
 */
export function listenToKeys(table) {
  const acts = new Map(table.flatMap((row) => row.keys.map((key) => [key, row.act])));
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.(SLIDER) && event.key.startsWith("Arrow")) return;
    if (event.target.closest?.(TYPING) || document.querySelector("dialog[open]")) return;
    const act = acts.get(event.key);
    if (!act) return;
    event.preventDefault();
    act(event.key);
  });
  describe(byId("keys-list"), table.map(({ shown, does }) => [shown, does]));
}
