// The panel for the API key, opened by its button or when the server requires a key.

import { key } from "./api.js";
import { $ } from "./dom.js";
import { onLanguage, t } from "./i18n.js";

let note = "key.note";
let then = null;

function show(open) {
  $("key-panel").hidden = !open;
  $("key-open").setAttribute("aria-expanded", String(open));
  $("key-note").textContent = t(note);
  $("key").value = key.get();
}

/** Ask for a key; `retry` is called when one is entered. `focus`: move the focus to the panel. */
export function want(retry, focus = true) {
  note = key.get() ? "key.wrong" : "key.wanted";
  then = retry ?? then; // a status check does not replace a request that waits for the key
  if (!focus && !$("key-panel").hidden) return; // the user may be typing in it
  show(true);
  if (!focus) return;
  $("key").focus();
  $("key").select();
}

export function start(changed) {
  $("key-open").addEventListener("click", () => {
    show($("key-panel").hidden);
    if (!$("key-panel").hidden) $("key").focus();
  });
  $("key-panel").addEventListener("submit", (event) => {
    event.preventDefault();
    set($("key").value.trim());
  });
  $("key-forget").addEventListener("click", () => set(""));
  onLanguage(() => ($("key-note").textContent = t(note)));

  function set(value) {
    key.set(value);
    note = "key.note";
    show(false);
    $("key-open").focus();
    const retry = then;
    then = null;
    changed();
    if (value) retry?.();
  }
}
