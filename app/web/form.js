// The form: the selected task and its fields, as they are sent to the server.

import { $, h, icon } from "./dom.js";
import { current, onLanguage, t } from "./i18n.js";
import { SCHEMAS, pretty } from "./schemas.js";
import { kept } from "./session.js";

const LANGUAGES = { ko: "한국어", en: "English", ja: "日本語", zh: "中文", es: "Español", fr: "Français", de: "Deutsch", vi: "Tiếng Việt" };
const KEPT = ["style", "format", "schema", "labels", "lang", "detail", "max-tokens", "prompt"];

/** An invalid field; `element` is its input. */
export class Fault extends Error {
  constructor(element, message) {
    super(message);
    this.element = element;
  }
}

export const task = () => new FormData($("form")).get("task");
const value = (id) => $(id).value.trim();
const questions = () => [...$("questions").querySelectorAll("textarea")];

/** The fields of the request as [name, value], without its images.
 * @throws {Fault} a field is missing or invalid. */
export function fields(hasPages) {
  const own = { describe: ownOfDescribe, ocr: () => [["format", value("format")]], vqa: ownOfVqa, extract: ownOfExtract, detect: ownOfDetect };
  const given = [...own[task()](), ["prompt", value("prompt")], ["language", value("lang")], ["model", value("model")], ["max_tokens", value("max-tokens")]];
  if (hasPages) given.push(["pages", value("pages")]);
  if (value("detail") !== "auto") given.push(["detail", value("detail")]);
  if ($("think").checked) given.push(["think", "true"]);
  return given.filter(([, one]) => one);
}

/** The language of the page is the default language of a description. */
function ownOfDescribe() {
  const own = [["style", value("style")]];
  if (!value("lang") && !value("prompt")) own.push(["language", current()]);
  return own;
}

function ownOfVqa() {
  const asked = questions().map((one) => one.value.trim()).filter(Boolean);
  if (!asked.length) throw new Fault(questions()[0], t("question.missing"));
  return asked.map((one) => ["question", one]);
}

function ownOfExtract() {
  let schema;
  try {
    schema = JSON.parse(value("schema"));
  } catch (error) {
    throw new Fault($("schema"), t("schema.wrong", { detail: error.message }));
  }
  if (schema === null || typeof schema !== "object" || Array.isArray(schema)) throw new Fault($("schema"), t("schema.object"));
  return [["schema", JSON.stringify(schema)]];
}

function ownOfDetect() {
  const labels = value("labels").split(/[,，、\n]/).map((one) => one.trim()).filter(Boolean);
  if (!labels.length) throw new Fault($("labels"), t("labels.missing"));
  return labels.map((one) => ["labels", one]);
}

/** Reset the questions to one empty field after they were sent. */
export function nextQuestion() {
  const hadFocus = $("questions").contains(document.activeElement);
  $("questions").replaceChildren();
  addQuestion();
  if (hadFocus) questions()[0].focus();
}

function addQuestion(text = "") {
  const area = h("textarea", { rows: "1", on: { keydown: enter, input: () => grow(area) } });
  area.value = text;
  const remove = h("button", { type: "button", class: "quiet square", on: { click: () => removeQuestion(area) } }, icon("close"));
  $("questions").append(h("div", { class: "question" }, area, remove));
  nameQuestions();
  return area;
}

function removeQuestion(area) {
  area.parentElement.remove();
  nameQuestions();
  questions().at(-1).focus();
}

function nameQuestions() {
  const all = questions();
  all.forEach((area, index) => {
    const n = index + 1;
    area.setAttribute("aria-label", all.length > 1 ? t("question.nth", { n }) : t("question.label"));
    area.placeholder = t("question.hint");
    area.nextElementSibling.setAttribute("aria-label", t("question.remove", { n }));
    area.nextElementSibling.hidden = all.length === 1;
  });
}

/** Enter submits, Shift+Enter adds a line. Enter during IME composition does neither. */
function enter(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("form").requestSubmit();
}

function grow(area) {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}

/** Fill the list of models; `usual` is the default model. */
export function offerModels(names, usual) {
  const before = $("model").value;
  const first = h("option", { value: "" }, usual ? t("model.named", { name: usual }) : t("model.default"));
  const rest = names.filter((name) => name !== usual?.replace(/:latest$/, ""));
  $("model").replaceChildren(first, ...rest.map((name) => h("option", { value: name }, name)));
  $("model").value = rest.includes(before) ? before : "";
}

function show() {
  const now = task();
  for (const field of $("form").querySelectorAll("[data-for]")) field.hidden = field.dataset.for !== now;
  $("about").textContent = t(`about.${now}`);
  $("labels").placeholder = t("labels.example");
  $("lang").options[0].textContent = t("lang.auto");
  nameQuestions();
}

export function offerPages(hasPages) {
  $("pages-field").hidden = !hasPages;
}

function keep() {
  const values = Object.fromEntries(KEPT.map((id) => [id, $(id).value]));
  kept.set("form", { ...values, task: task(), think: $("think").checked, questions: questions().map((one) => one.value) });
}

function restore() {
  const before = kept.get("form", {});
  for (const id of KEPT) if (typeof before[id] === "string") $(id).value = before[id];
  $("think").checked = before.think === true;
  const radio = $("form").querySelector(`[name=task][value=${before.task ?? "describe"}]`);
  if (radio) radio.checked = true;
  for (const text of before.questions?.length ? before.questions : [""]) addQuestion(text);
}

/** @param changed called when another task is selected. */
export function start(changed) {
  $("schema").value = pretty(SCHEMAS.receipt);
  $("lang").append(h("option", { value: "" }), ...Object.entries(LANGUAGES).map(([code, name]) => h("option", { value: code, lang: code }, name)));
  restore();
  $("question-add").addEventListener("click", () => addQuestion().focus());
  for (const button of $("form").querySelectorAll("[data-schema]")) {
    button.addEventListener("click", () => {
      $("schema").value = pretty(SCHEMAS[button.dataset.schema]);
      keep();
    });
  }
  $("form").addEventListener("input", keep);
  $("form").addEventListener("change", () => {
    show();
    changed();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("form").requestSubmit();
  });
  onLanguage(show);
  show();
}
