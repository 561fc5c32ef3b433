// An answer as text, Markdown or JSON, to copy or download.

export const ENDINGS = { text: "txt", markdown: "md", json: "json", curl: "sh" };

const asked = (answer) => (answer.answers?.length > 1 ? answer.answers : null);
const cell = (text) => String(text).replaceAll("|", "\\|").replace(/\s*[\r\n]+\s*/g, " ");

/** A Markdown fence longer than any in the text. */
function fenced(text, language) {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((ticks) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}`;
}

function table(names, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(names), line(names.map(() => "---")), ...rows.map((row) => line(row.map(cell)))].join("\n");
}

const box = (sides) => (sides ? sides.join(", ") : "");

export function asText(answer) {
  const several = asked(answer);
  if (several) return several.map((one) => `${one.question}\n${one.text}`).join("\n\n");
  if (answer.task === "extract") return JSON.stringify(answer.data, null, 2);
  return answer.text;
}

export function asMarkdown(answer, format) {
  if (answer.answers) return answer.answers.map((one) => `**${one.question.replace(/\s*\n\s*/g, " ")}**\n\n${one.text}`).join("\n\n");
  if (answer.objects) return table(["label", "box"], answer.objects.map((one) => [one.label, box(one.box)]));
  if (answer.task === "extract") return fenced(JSON.stringify(answer.data, null, 2), "json");
  if (answer.data?.lines) return table(["text", "box"], answer.data.lines.map((one) => [one.text, box(one.box)]));
  if (format === "html") return fenced(answer.text, "html");
  // Keep line breaks: Markdown would join the lines.
  if (answer.task === "ocr" && format !== "markdown") return fenced(answer.text, "");
  return answer.text;
}

export const asJson = (answer) => JSON.stringify(answer, null, 2);

/** Download a text as a file. */
export function download(name, text, view) {
  const type = { json: "application/json", markdown: "text/markdown" }[view] ?? "text/plain";
  const url = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Copy a text; return whether it succeeded. Without a secure context (plain http from another
 * machine) there is no clipboard API, and execCommand is used. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const focused = document.activeElement;
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "unseen";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focused?.focus();
    return done;
  }
}
