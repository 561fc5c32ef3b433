// Translation of the page into its two languages.

import { chosen } from "./session.js";
import { en } from "./en.js";
import { ko } from "./ko.js";

const WORDS = { en, ko };
const listeners = [];
let language = first();

function first() {
  const stored = chosen.get("language");
  if (stored in WORDS) return stored;
  return navigator.language.toLowerCase().startsWith("ko") ? "ko" : "en";
}

export const current = () => language;

/** The text of a key in the language of the page; `{name}` is replaced by a value. */
export function t(key, values = {}) {
  const text = WORDS[language][key] ?? WORDS.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export const number = (value, digits = 0) =>
  new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);

export function seconds(ms) {
  if (ms > 0 && ms < 950) return t("unit.ms", { n: number(Math.max(1, ms)) });
  return t("unit.seconds", { n: number(ms / 1000, ms < 9950 ? 1 : 0) });
}

export function size(bytes) {
  if (bytes < 1e6) return `${number(Math.max(1, bytes / 1e3))} kB`;
  return `${number(bytes / 1e6, 1)} MB`;
}

/** Fill the texts of index.html; called again when the language changes. */
export function fill() {
  document.documentElement.lang = language;
  const filled = { t: "", tLabel: "aria-label", tPlaceholder: "placeholder" };
  for (const [name, attribute] of Object.entries(filled)) {
    const selector = `[data-${name.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)}]`;
    for (const element of document.querySelectorAll(selector)) {
      const text = t(element.dataset[name]);
      if (attribute) element.setAttribute(attribute, text);
      else element.textContent = text;
    }
  }
}

export const onLanguage = (listener) => listeners.push(listener);

export function speak(name) {
  language = name;
  chosen.set("language", name);
  fill();
  for (const listener of listeners) listener();
}
