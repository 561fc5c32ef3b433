// The card of one request: state, answer in several formats, statistics.

import { h, icon } from "./dom.js";
import { Body } from "./body.js";
import { bytes, field, questions, runs } from "./entry.js";
import { ENDINGS, asJson, asMarkdown, asText, copy, download } from "./forms.js";
import { number, seconds, size, t } from "./i18n.js";
import { marksOf } from "./marks.js";

let last = 0;

export class Card {
  element;
  #entry;
  #hooks;
  #view = "answer";
  #body;
  #title = h("h3");
  #state = h("p", { class: "state" });
  #clock = h("span", { class: "clock", "aria-hidden": "true" });
  #views = h("div", { class: "views", role: "group" });
  #source = h("pre", { class: "source", tabindex: "0", hidden: true });
  #thoughts = h("details", { class: "thoughts", hidden: true }, h("summary"), h("div", { class: "verbatim" }));
  #notes = h("div", { class: "notes" });
  #meta = h("div", { class: "meta" });
  #drawn = "";

  /** @param hooks `point(mark)`, `place()`, `isPlaced()`, `again()`, `say(text)`, `curl()`. */
  constructor(entry, hooks) {
    this.#entry = entry;
    this.#hooks = hooks;
    this.#body = new Body(entry, hooks);
    const id = `card-${(last += 1)}`;
    this.#title.id = id;
    this.element = h("article", { class: "card", "aria-labelledby": id },
      h("header", { class: "card-head" }, this.#title, this.#state),
      this.#thoughts, this.#views, this.#body.element, this.#source, this.#notes, this.#meta);
    this.update();
  }

  update() {
    const entry = this.#entry;
    this.#title.textContent = title(entry);
    this.element.classList.toggle("running", runs(entry));
    this.element.setAttribute("aria-busy", String(runs(entry)));
    this.#updateState();
    this.#thoughts.hidden = !entry.thoughts;
    this.#thoughts.firstChild.textContent = t("part.thoughts");
    this.#thoughts.lastChild.textContent = entry.thoughts;
    this.#body.update();
    this.#body.element.hidden = this.#view !== "answer" || !this.#body.element.hasChildNodes();
    // Elements that do not change during the stream are not created again for each delta.
    const drawn = `${entry.state} ${this.#view} ${this.#canPlace()}`;
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#updateViews();
    this.#notes.replaceChildren(...this.#made());
    this.#meta.replaceChildren(...(entry.answer ? meta(entry) : []));
  }

  tick() {
    this.#clock.textContent = seconds(1000 * Math.round((Date.now() - this.#entry.began) / 1000));
  }

  translate() {
    this.#drawn = "";
    this.#body.translate();
    this.update();
  }

  #updateState() {
    const entry = this.#entry;
    const text = stateText(entry);
    this.#state.className = `state ${entry.state}`;
    const about = [aboutFiles(entry), entry.answer?.model].filter(Boolean).join(" · ");
    const names = h("span", { class: "about-files" }, about);
    const now = entry.state === "done" && !entry.answer.cached ? null : h("span", { class: "now" }, entry.answer?.cached ? t("meta.cached") : text);
    if (runs(entry)) this.tick();
    this.#state.replaceChildren(...[names, now, runs(entry) ? this.#clock : null].filter(Boolean));
    if (entry.answer?.cached) now.title = t("meta.cached.note");
  }

  #updateViews() {
    const entry = this.#entry;
    const offered = entry.answer ? ["answer", "text", "markdown", "json", "curl"] : ["answer", "curl"];
    this.#views.hidden = runs(entry);
    this.#views.setAttribute("aria-label", t("answer.views"));
    const switches = offered.map((name) =>
      h("button", { type: "button", class: "view", "aria-pressed": String(name === this.#view), data: { view: name }, on: { click: () => this.#show(name) } }, t(`view.${name}`)));
    const hasText = this.#view !== "answer" || entry.answer || entry.parts.length;
    this.#views.replaceChildren(h("div", { class: "switches" }, switches), h("div", { class: "actions" }, hasText ? this.#actions() : []));
    this.#source.hidden = this.#view === "answer";
    this.#source.setAttribute("aria-label", t(`view.${this.#view}`));
    this.#source.textContent = this.#view === "answer" ? "" : this.#text();
  }

  #actions() {
    return [
      h("button", { type: "button", class: "quiet small copy", on: { click: (event) => this.#copy(event.currentTarget) } }, icon("copy"), h("span", {}, t("copy"))),
      h("button", { type: "button", class: "quiet small download", on: { click: () => this.#download() } }, icon("download"), h("span", {}, t("download"))),
    ];
  }

  /** Whether there are boxes that could be drawn over the images but are not. */
  #canPlace() {
    const { answer, pictures } = this.#entry;
    return Boolean(answer) && pictures.length > 0 && !this.#hooks.isPlaced() && marksOf(answer).some((mark) => mark.box);
  }

  #show(name) {
    this.#view = name;
    this.update();
    this.#views.querySelector(`[data-view=${name}]`).focus();
  }

  #text() {
    const { answer, parts } = this.#entry;
    if (this.#view === "curl") return this.#hooks.curl();
    if (!answer) return parts.map((part) => part.text).join("\n\n");
    if (this.#view === "json") return asJson(answer);
    return this.#view === "markdown" ? asMarkdown(answer, field(this.#entry, "format")) : asText(answer);
  }

  async #copy(button) {
    const done = await copy(this.#text());
    const text = t(done ? "copied" : "copy.failed");
    button.lastChild.textContent = text;
    this.#hooks.say(text);
    setTimeout(() => (button.lastChild.textContent = t("copy")), 2000);
  }

  #download() {
    const stem = (this.#entry.names[0] ?? "answer").replace(/\.\w{1,5}$/, "");
    const view = this.#view === "answer" ? "text" : this.#view;
    download(`${stem}-${this.#entry.task}.${ENDINGS[view]}`, this.#text(), view);
  }

  /** Problems and warnings. */
  #made() {
    const { problem, state, answer, parts, files } = this.#entry;
    const made = [];
    if (problem) {
      const title = t(`error.title.${problem.status}`);
      const known = !title.startsWith("error.");
      const detail = problem.detail || t(`error.${problem.code}`);
      const small = [problem.code && problem.status ? problem.code : "", problem.requestId ? t("error.id", { id: problem.requestId }) : ""];
      made.push(h("div", { class: "trouble" },
        parts.length ? h("p", { class: "cut" }, t("state.partial")) : null,
        h("strong", {}, known ? title : t("state.failed")), h("p", { class: "detail" }, detail),
        problem.retryAfter ? h("p", { class: "detail" }, t("error.retry", { n: problem.retryAfter })) : null,
        h("p", { class: "small-print" }, small.filter(Boolean).join(" · "))));
    }
    if (state === "stopped" && parts.length) made.push(h("p", { class: "cut" }, t("state.partial")));
    if ((problem || state === "stopped") && files.length) {
      made.push(h("button", { type: "button", class: "plain small again", on: { click: () => this.#hooks.again() } }, t("answer.again")));
    }
    const warnings = [...(answer?.finish_reason === "length" ? [t("meta.length")] : []), ...(answer?.warnings ?? [])];
    if (this.#canPlace()) made.push(h("button", { type: "button", class: "plain small place", on: { click: () => this.#hooks.place() } }, t("answer.place")));
    if (warnings.length) made.push(h("ul", { class: "warnings" }, warnings.map((text) => h("li", {}, text))));
    return made;
  }
}

function aboutFiles(entry) {
  const [name = "", ...rest] = entry.names;
  return rest.length ? t("answer.more", { name, n: rest.length }) : name;
}

/** The question, or the name of the task. */
function title(entry) {
  const asked = questions(entry);
  if (asked.length === 1) return asked[0];
  const labels = entry.fields.filter(([name]) => name === "labels").map(([, text]) => text);
  return labels.length ? `${t("task.detect")}: ${labels.join(", ")}` : t(`task.${entry.task}`);
}

export function stateText(entry) {
  if (entry.state === "sending") return t("state.sending", { size: size(bytes(entry)) });
  if (entry.state !== "queued") return t(`state.${entry.state}`);
  const { position, eta_ms: eta } = entry.queue;
  return eta > 0 ? t("state.queued.eta", { position, eta: seconds(eta) }) : t("state.queued", { position });
}

/** Statistics of an answer: time, speed, tokens, and the size at which each image was sent. */
function meta({ answer, names }) {
  const { timings, usage, images } = answer;
  const facts = [[t("meta.total"), seconds(timings.total_ms)]];
  if (timings.queue_ms >= 100) facts.push([t("meta.queue"), seconds(timings.queue_ms)]);
  if (timings.tokens_per_second) facts.push([t("meta.speed"), t("unit.speed", { n: number(timings.tokens_per_second, 1) })]);
  facts.push([t("meta.prompt"), t("unit.tokens", { n: number(usage.prompt_tokens) })]);
  facts.push([t("meta.completion"), t("unit.tokens", { n: number(usage.completion_tokens) })]);
  if (usage.reasoning_tokens) facts.push([t("meta.reasoning"), t("unit.tokens", { n: number(usage.reasoning_tokens) })]);
  const [first] = images;
  if (images.length === 1) facts.push([t("meta.sent"), sent(first)]);
  const made = [h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))))];
  if (images.length > 1) {
    made.push(h("details", { class: "images" }, h("summary", {}, `${t("meta.images")} (${images.length})`),
      h("ul", {}, images.map((one) => h("li", {}, h("span", {}, [names[one.index], one.page ? t("part.page", { page: one.page }) : ""].filter(Boolean).join(", ")), h("span", {}, sent(one)))))));
  }
  return made;
}

function sent({ width, height, sent_width: wide, sent_height: high, tokens }) {
  if (!wide) return t("meta.textlayer");
  return `${width} × ${height} → ${wide} × ${high}, ${t("unit.tokens", { n: number(tokens) })}`;
}
