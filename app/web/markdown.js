// Renders Markdown of a model as elements, never as HTML: a tag is shown as text, an
// image as its description, and links are limited to http(s).

import { h } from "./dom.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+-]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const RULE = /^ {0,3}([-*_])[ \t]*(\1[ \t]*){2,}$/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const QUOTE = /^ {0,3}> ?(.*)$/;
const ROW = /\|/;
const DIVIDER = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const DEEPEST = 6;
const painted = new WeakMap();

/** Render a text that may still grow. Unchanged blocks keep their elements, so that a
 * selection in them is kept. */
export function paint(element, text) {
  const before = painted.get(element) ?? [];
  const now = blocks(text.split(/\r\n|\r|\n/));
  let same = 0;
  while (same < now.length && same < before.length && now[same].source === before[same]) same += 1;
  while (element.childNodes.length > same) element.lastChild.remove();
  for (const block of now.slice(same)) element.append(block.make());
  painted.set(element, now.map((block) => block.source));
}

/** Parse lines into blocks {source, make}; blocks with equal `source` are equal. */
function blocks(lines, depth = 0) {
  const found = [];
  let at = 0;
  const take = (kind, count, make) => {
    found.push({ source: `${kind}\n${lines.slice(at, at + count).join("\n")}`, make });
    at += count;
  };
  while (at < lines.length) {
    const line = lines[at];
    const rest = lines.slice(at);
    if (!line.trim()) at += 1;
    else if (FENCE.test(line)) fence(rest, take);
    else if (HEADING.test(line)) heading(line, take);
    else if (RULE.test(line)) take("rule", 1, () => h("hr"));
    else if (ROW.test(line) && rest.length > 1 && isTable(rest)) table(rest, take);
    else if (QUOTE.test(line) && depth < DEEPEST) quote(rest, take, depth);
    else if (ITEM.test(line) && depth < DEEPEST) list(rest, take, depth);
    else paragraph(rest, take);
  }
  return found;
}

function fence(lines, take) {
  const [, mark] = FENCE.exec(lines[0]);
  const closes = (line) => line.trim().startsWith(mark) && !line.trim().replaceAll(mark[0], "");
  const end = lines.findIndex((line, index) => index > 0 && closes(line));
  const inside = lines.slice(1, end < 0 ? lines.length : end).join("\n");
  const count = end < 0 ? lines.length : end + 1;
  take("code", count, () => h("pre", { tabindex: "0" }, h("code", {}, inside)));
}

function heading(line, take) {
  const [, marks, text] = HEADING.exec(line);
  // The answer is below an h3.
  take("heading", 1, () => h(`h${Math.min(6, marks.length + 3)}`, {}, inline(text)));
}

const cells = (line) =>
  line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));

const isTable = ([head, divider]) =>
  DIVIDER.test(divider) && divider.includes("-") && cells(divider).length === cells(head).length;

function table(lines, take) {
  let count = 2;
  while (count < lines.length && lines[count].trim() && ROW.test(lines[count])) count += 1;
  const head = cells(lines[0]);
  const sides = cells(lines[1]).map((cell) => (cell.endsWith(":") ? "end" : "start"));
  const row = (name, values) =>
    h("tr", {}, head.map((_, index) => h(name, { class: sides[index] }, inline(values[index] ?? ""))));
  take("table", count, () =>
    h("div", { class: "scroll", tabindex: "0" },
      h("table", {},
        h("thead", {}, row("th", head)),
        h("tbody", {}, lines.slice(2, count).map((line) => row("td", cells(line)))))));
}

function quote(lines, take, depth) {
  let count = 0;
  while (count < lines.length && QUOTE.test(lines[count])) count += 1;
  const inside = lines.slice(0, count).map((line) => QUOTE.exec(line)[1]);
  take("quote", count, () => h("blockquote", {}, made(inside, depth + 1)));
}

function list(lines, take, depth) {
  const [, space, first] = ITEM.exec(lines[0]);
  const ordered = /\d/.test(first);
  const items = [];
  let count = 0;
  for (; count < lines.length; count += 1) {
    const line = lines[count];
    const item = ITEM.exec(line);
    const indent = line.length - line.trimStart().length;
    if (item && item[1].length <= space.length && /\d/.test(item[2]) === ordered) items.push([item[3]]);
    else if (item && item[1].length <= space.length) break;
    else if (item || indent > space.length) items.at(-1).push(line.slice(Math.min(indent, space.length + 2)));
    else if (!line.trim() && continues(lines[count + 1], space.length, ordered)) items.at(-1).push("");
    else break;
  }
  const start = ordered ? Number.parseInt(first, 10) : 1;
  take("list", count, () =>
    h(ordered ? "ol" : "ul", { start: start === 1 ? null : String(start) },
      items.map((inside) => h("li", {}, tight(made(inside, depth + 1))))));
}

function continues(line, indent, ordered) {
  const item = line && ITEM.exec(line);
  return Boolean(line && (/^\s/.test(line) || (item && item[1].length <= indent && /\d/.test(item[2]) === ordered)));
}

/** An item of one line is not wrapped in a paragraph. */
const tight = ([first, ...rest]) =>
  first?.tagName === "P" ? [...first.childNodes, ...rest] : [first, ...rest].filter(Boolean);

function paragraph(lines, take) {
  let count = 1;
  const ends = [FENCE, HEADING, RULE, QUOTE, ITEM];
  while (count < lines.length && lines[count].trim() && !ends.some((end) => end.test(lines[count]))) {
    if (ROW.test(lines[count]) && lines.length > count + 1 && isTable(lines.slice(count))) break;
    count += 1;
  }
  const text = lines.slice(0, count);
  take("text", count, () =>
    h("p", {}, text.flatMap((line, index) => [index ? h("br") : null, ...inline(line.trim())])));
}

const made = (lines, depth) => blocks(lines, depth).map((block) => block.make());

const PAIRS = [["**", "strong"], ["__", "strong"], ["~~", "del"], ["*", "em"], ["_", "em"]];

/** Parse inline code, emphasis and links into nodes. */
function inline(text, depth = 0) {
  if (depth > DEEPEST) return [text];
  const nodes = [];
  let plain = "";
  const add = (node) => {
    if (plain) nodes.push(plain);
    plain = "";
    nodes.push(node);
  };
  let at = 0;
  while (at < text.length) {
    const found = special(text, at, depth);
    if (found) {
      if (typeof found.node === "string") plain += found.node;
      else add(found.node);
      at = found.end;
    } else {
      plain += text[at];
      at += 1;
    }
  }
  if (plain) nodes.push(plain);
  return nodes;
}

function special(text, at, depth) {
  const letter = text[at];
  if (letter === "\\" && /[!-/:-@[-`{-~]/.test(text[at + 1] ?? "")) return { node: text[at + 1], end: at + 2 };
  if (letter === "`") return code(text, at);
  if (letter === "[" || (letter === "!" && text[at + 1] === "[")) return link(text, at, depth);
  if ("*_~".includes(letter)) return emphasis(text, at, depth);
  return null;
}

function code(text, at) {
  const [ticks] = /^`+/.exec(text.slice(at));
  const end = text.indexOf(ticks, at + ticks.length);
  if (end < 0) return { node: ticks, end: at + ticks.length };
  return { node: h("code", {}, text.slice(at + ticks.length, end).trim()), end: end + ticks.length };
}

function link(text, at, depth) {
  const found = /^(!?)\[([^\]]{0,500})\]\(([^\s()]{1,2000})(?:\s+"[^"]{0,500}")?\)/.exec(text.slice(at, at + 3100));
  if (!found) return null;
  const [whole, picture, label, address] = found;
  const end = at + whole.length;
  if (picture) return { node: label, end };
  if (!/^https?:\/\//i.test(address)) return { node: `${label} (${address})`, end };
  const rest = { href: address, target: "_blank", rel: "noopener noreferrer nofollow" };
  return { node: h("a", rest, inline(label, depth + 1)), end };
}

/** `*` and `_` mark emphasis at the edge of a word; `_` inside a word (snake_case) does not. */
function emphasis(text, at, depth) {
  for (const [mark, name] of PAIRS) {
    if (!text.startsWith(mark, at)) continue;
    const from = at + mark.length;
    const end = text.indexOf(mark, from + 1);
    const within = mark[0] === "_" && (/[\p{L}\p{N}]/u.test(text[at - 1] ?? "") || /[\p{L}\p{N}]/u.test(text[end + mark.length] ?? ""));
    if (end < 0 || within || /\s/.test(text[from]) || /\s/.test(text[end - 1])) continue;
    return { node: h(name, {}, inline(text.slice(from, end), depth + 1)), end: end + mark.length };
  }
  return null;
}
