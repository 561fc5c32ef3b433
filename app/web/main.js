// The page: connects images, form and answers.

import { Problem, json, key } from "./api.js";
import { Card, stateText } from "./card.js";
import { curl } from "./curl.js";
import { $, icon } from "./dom.js";
import { entryOf, run, runs, stored } from "./entry.js";
import * as form from "./form.js";
import { asText } from "./forms.js";
import { current, fill, onLanguage, speak, t } from "./i18n.js";
import * as keyPanel from "./key.js";
import { Pictures } from "./pictures.js";
import { chosen, kept } from "./session.js";

const THEMES = ["auto", "light", "dark"];
const MOST_KEPT = 30; // answers that are restored after a reload
const MOST_SAID = 600; // characters of an answer that a screen reader announces

const cards = []; // [entry, card], newest first
let running = null; // the AbortController of the running request
let placed = null; // the entry whose boxes are drawn
let pictures = null;
let status = null;
let left = false; // the page is being unloaded

function say(text) {
  $("live").textContent = text;
}

// --- status -----------------------------------------------------------------------------

async function askStatus() {
  let models = [];
  try {
    status = await json("/v1/status");
    // Do not request the models of an unavailable engine: each failure is logged in the console.
    if (!status.problem) models = (await json("/v1/models")).data.map((one) => one.id);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    status = { failed: error.status };
    if (error.status === 401) keyPanel.want(null, false);
  }
  form.offerModels(models, status.model?.name);
  showStatus();
}

function showStatus() {
  const element = $("engine");
  const [kind, text] = statusText();
  element.className = `engine ${kind}`;
  element.textContent = text;
  $("notice").hidden = !status?.problem;
  $("notice").textContent = status?.problem?.detail ?? "";
}

function statusText() {
  if (!status) return ["asking", t("engine.asking")];
  if (status.failed === 401) return ["locked", t("engine.locked")];
  if (status.failed !== undefined) return ["problem", t("engine.unreachable")];
  if (status.problem) return ["problem", t("engine.problem")];
  return ["ready", status.model.name];
}

// --- one request ---------------------------------------------------------------------------

function submit(event) {
  event.preventDefault();
  if (running) return;
  fault("");
  let fields;
  try {
    if (!pictures.items.length) throw new form.Fault($("choose"), t("picture.none"));
    fields = form.fields(pictures.items.some((one) => one.hasPages));
  } catch (error) {
    if (!(error instanceof form.Fault)) throw error;
    fault(error.message, error.element);
    return;
  }
  const entry = entryOf(form.task(), fields, pictures.items);
  const card = add(entry);
  card.element.scrollIntoView({ block: "nearest" }); // on a phone it would be out of view
  if (entry.task === "vqa") form.nextQuestion();
  follow(entry, card);
}

function fault(message, element = null) {
  for (const one of $("form").querySelectorAll("[aria-invalid]")) one.removeAttribute("aria-invalid");
  $("fault").textContent = message;
  if (!element) return;
  if (element.tagName !== "BUTTON") element.setAttribute("aria-invalid", "true");
  element.focus();
}

async function follow(entry, card) {
  running = new AbortController();
  busy(true);
  let said = "";
  let frame = 0;
  const clock = setInterval(() => card.tick(), 1000);
  const draw = () => {
    frame = 0;
    card.update();
  };
  await run(entry, running.signal, () => {
    frame ||= requestAnimationFrame(draw);
    // Announce each state once, and the queue position only when it changes.
    const now = `${entry.state} ${entry.queue?.position ?? ""}`;
    if (now !== said && runs(entry)) say(stateText(entry));
    said = now;
  });
  clearInterval(clock);
  cancelAnimationFrame(frame);
  draw();
  running = null;
  busy(false);
  ended(entry, card);
}

function ended(entry, card) {
  keep();
  if (entry.state === "done") {
    say(t("say.done", { text: asText(entry.answer).slice(0, MOST_SAID) }));
    place(entry);
  } else if (entry.problem?.status === 401) {
    keyPanel.want(() => follow(entry, card));
  } else if (entry.problem) {
    say(`${t("state.failed")}: ${entry.problem.detail || t(`error.${entry.problem.code}`)}`);
    askStatus();
  } else say(t("state.stopped"));
}

function busy(on) {
  const hadFocus = document.activeElement === $("stop");
  $("stop").hidden = !on;
  $("send").setAttribute("aria-disabled", String(on));
  sendLabel();
  if (hadFocus && !on) $("send").focus();
}

function sendLabel() {
  $("send").textContent = t(running ? "send.busy" : `send.${form.task()}`);
}

/** Draw the boxes of an answer over its images, or none. */
function place(entry) {
  if (placed === entry) return;
  placed = entry;
  pictures.mark(entry.answer, entry.pictures);
  for (const [, card] of cards) card.update();
}

function point(entry, mark) {
  if (mark && entry.pictures.length) {
    place(entry);
    pictures.showOf(entry.pictures, mark.image);
  }
  pictures.point(mark ? mark.id : null);
}

// --- answers -------------------------------------------------------------------------------

function add(entry) {
  const card = new Card(entry, {
    point: (mark) => point(entry, mark),
    place: () => {
      place(entry);
      $("stage").scrollIntoView({ block: "nearest" });
    },
    isPlaced: () => placed === entry,
    again: () => running || follow(entry, card),
    curl: () => curl(location.origin, entry.task, entry.fields, entry.names, Boolean(key.get())),
    say,
  });
  cards.unshift([entry, card]);
  $("list").prepend(card.element);
  $("answers").hidden = false;
  return card;
}

function keep() {
  if (left) return;
  let entries = cards.slice(0, MOST_KEPT).map(([entry]) => stored(entry));
  while (!kept.set("answers", entries) && entries.length) entries = entries.slice(0, entries.length >> 1);
}

function clear() {
  running?.abort();
  cards.length = 0;
  $("list").replaceChildren();
  $("answers").hidden = true;
  placed = null;
  pictures.mark(null);
  keep();
  say(t("answers.cleared"));
  $("send").focus();
}

// --- language and colors ------------------------------------------------------------------

function showTheme() {
  const theme = document.documentElement.dataset.theme ?? "auto";
  $("theme").setAttribute("aria-label", t(`theme.${theme}`));
  $("theme").title = t(`theme.${theme}`);
  $("theme").replaceChildren(icon(theme));
}

function nextTheme() {
  const now = document.documentElement.dataset.theme ?? "auto";
  const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  chosen.set("theme", next);
  showTheme();
  say(t(`theme.${next}`));
}

function showLanguage() {
  $("language").textContent = t("language.other");
  $("language").lang = current() === "ko" ? "en" : "ko";
  $("key-open").title = t("key.button");
  showTheme();
  showStatus();
  form.offerModels([...$("model").options].slice(1).map((one) => one.value), status?.model?.name);
  sendLabel();
  fault("");
  for (const [, card] of cards) card.translate();
}

// --- start ---------------------------------------------------------------------------------

fill();
form.start(sendLabel);
pictures = new Pictures(() => form.offerPages(pictures.items.some((one) => one.hasPages)), say, fault);
keyPanel.start(askStatus);
for (const entry of kept.get("answers", []).reverse()) add(entry);
onLanguage(showLanguage);
showLanguage();
$("form").addEventListener("submit", submit);
$("stop").addEventListener("click", () => running?.abort());
$("clear").addEventListener("click", clear);
$("theme").addEventListener("click", nextTheme);
$("language").addEventListener("click", () => speak(current() === "ko" ? "en" : "ko"));
addEventListener("pagehide", () => {
  keep(); // store a running request as stopped; the abort by the browser is not an error
  left = true;
  running?.abort();
});
addEventListener("pageshow", () => (left = false)); // restored from the back/forward cache
askStatus();
