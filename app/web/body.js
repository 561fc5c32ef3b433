// Renders the content of an answer.

import { h } from "./dom.js";
import { field, questions, wholeParts } from "./entry.js";
import { number, t } from "./i18n.js";
import { paint } from "./markdown.js";
import { marksOf } from "./marks.js";
import { view } from "./data.js";

/** How the text of a task is shown: Markdown, source or plain text. */
function kind(entry) {
  if (entry.task === "describe" || entry.task === "vqa") return "prose";
  if (entry.task === "ocr" && field(entry, "format") === "markdown") return "prose";
  if (entry.task === "extract" || field(entry, "format") === "html") return "source";
  return "verbatim";
}

/** Shows the answer of an entry while it is streamed and when it is complete. */
export class Body {
  element = h("div", { class: "body" });
  #entry;
  #sections = [];
  #hooks;
  #whole = false;

  /** @param hooks `point(id)`: highlight a box, or none. */
  constructor(entry, hooks) {
    this.#entry = entry;
    this.#hooks = hooks;
  }

  update() {
    const { answer } = this.#entry;
    if (answer && !this.#whole) this.#reset(true);
    if (!answer && this.#whole) this.#reset(false);
    if (!answer) this.#grow(this.#entry.parts);
    else if (!this.element.hasChildNodes()) this.#finish(answer);
  }

  /** Render again in another language. */
  translate() {
    this.#reset(this.#whole);
    this.update();
  }

  #reset(whole) {
    this.#whole = whole;
    this.#sections = [];
    this.element.replaceChildren();
  }

  #finish(answer) {
    if (answer.objects) this.element.append(this.#marks(answer, "objects.list", "objects.none"));
    else if (answer.task === "extract") this.element.append(view(answer.data));
    else if (answer.data?.lines?.length) this.element.append(this.#marks(answer, "lines.list", "text.none"));
    else if (!answer.text) this.element.append(h("p", { class: "nothing" }, t("text.none")));
    else this.#grow(wholeParts(this.#entry));
  }

  #grow(parts) {
    const titled = parts.length > 1 || questions(this.#entry).length > 1;
    // A single part has no heading; headings are added with the second part.
    if (this.#sections.length === 1 && parts.length > 1 && !this.#sections[0].titled) this.#reset(this.#whole);
    if (parts.length < this.#sections.length) this.#reset(this.#whole);
    parts.forEach((part, index) => {
      const section = (this.#sections[index] ??= this.#section(part, titled));
      if (section.text === part.text) return;
      section.text = part.text;
      if (kind(this.#entry) === "prose") paint(section.content, part.text);
      else section.content.textContent = part.text;
    });
  }

  #section(part, titled) {
    const name = kind(this.#entry);
    const content = h(name === "source" ? "pre" : "div", { class: name, tabindex: name === "source" ? "0" : null });
    this.element.append(h("section", { class: "part" }, titled ? h("h4", { class: "part-title" }, this.#title(part)) : null, content));
    return { content, text: null, titled };
  }

  #title({ question, image, page }) {
    const asked = questions(this.#entry);
    const named = image !== undefined && image !== null ? this.#entry.names[image] ?? t("part.image", { image: image + 1 }) : "";
    const about = [named, page ? t("part.page", { page }) : ""].filter(Boolean).join(", ");
    return (question !== undefined && question !== null && asked.length > 1 ? asked[question] : "") || about || asked[0] || t(`task.${this.#entry.task}`);
  }

  /** Boxes as a list of buttons that highlight them. */
  #marks(answer, label, none) {
    const marks = marksOf(answer);
    if (!marks.length) return h("p", { class: "nothing" }, t(none));
    const name = answer.objects ? "marks" : "marks lines";
    return h("ol", { class: name, "aria-label": t(label) }, marks.map((mark) => h("li", {}, this.#mark(mark, answer))));
  }

  #mark(mark, answer) {
    const on = () => this.#hooks.point(mark);
    const off = () => this.#hooks.point(null);
    const where = [
      answer.images.length > 1 && this.#entry.names.length > 1 ? this.#entry.names[mark.image] : "",
      mark.page ? t("part.page", { page: mark.page }) : "",
      mark.tagged ? mark.box.map((side) => number(side)).join(", ") : "",
    ].filter(Boolean).join(" · ");
    return h("button", { type: "button", class: "mark", data: { colour: mark.colour }, on: { mouseenter: on, mouseleave: off, focus: on, blur: off, click: on } },
      mark.tagged ? h("span", { class: "swatch" }) : null,
      h("span", { class: "mark-label" }, mark.label),
      where ? h("span", { class: "mark-box" }, where) : null);
  }
}
