// Renders JSON: names and values as a list, objects with equal keys as a table.

import { h } from "./dom.js";
import { t } from "./i18n.js";

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const isFlat = (value) => isObject(value) && Object.values(value).every((one) => one === null || typeof one !== "object");

function scalar(value) {
  if (value === null || value === undefined || value === "") return h("span", { class: "nothing" }, t("data.empty"));
  if (typeof value === "boolean") return h("span", {}, t(value ? "data.yes" : "data.no"));
  return h("span", { class: typeof value === "number" ? "figure" : null }, String(value));
}

export function view(value) {
  if (Array.isArray(value)) {
    if (!value.length) return scalar(null);
    return value.every(isFlat) ? table(value) : h("ul", { class: "values" }, value.map((one) => h("li", {}, view(one))));
  }
  if (!isObject(value)) return scalar(value);
  if (!Object.keys(value).length) return scalar(null);
  return h("dl", { class: "values" }, Object.entries(value).map(([name, one]) => h("div", {}, h("dt", {}, name), h("dd", {}, view(one)))));
}

function table(rows) {
  const names = [...new Set(rows.flatMap(Object.keys))];
  const isNumeric = (name) => rows.every((row) => row[name] === null || typeof (row[name] ?? 0) === "number");
  const side = Object.fromEntries(names.map((name) => [name, isNumeric(name) ? "end" : null]));
  return h("div", { class: "scroll", tabindex: "0" },
    h("table", {},
      h("thead", {}, h("tr", {}, names.map((name) => h("th", { class: side[name], scope: "col" }, name)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, names.map((name) => h("td", { class: side[name] }, scalar(row[name]))))))));
}
