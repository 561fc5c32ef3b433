// One request and its result: a plain object, filled by the events of its stream.

import { Problem, ask } from "./api.js";

const RUNNING = new Set(["sending", "looking", "queued", "thinking", "answering"]);

export const runs = (entry) => RUNNING.has(entry.state);

/** A request before it is sent. `pictures` are ids, in the order of the files. */
export function entryOf(task, fields, pictures) {
  const files = pictures.map((one) => one.file);
  return fresh({ task, fields, files, names: files.map((file) => file.name), pictures: pictures.map((one) => one.id) });
}

const fresh = (entry) =>
  Object.assign(entry, { state: "sending", began: Date.now(), parts: [], thoughts: "", images: [], queue: null, answer: null, problem: null });

export const field = (entry, name) => entry.fields.find(([one]) => one === name)?.[1];
export const questions = (entry) => entry.fields.filter(([name]) => name === "question").map(([, text]) => text);
export const bytes = (entry) => entry.files.reduce((sum, file) => sum + file.size, 0);

/** Send the request and apply its events; `changed` is called after each.
 * Ends when `entry.state` is done, failed or stopped. */
export async function run(entry, signal, changed) {
  fresh(entry);
  changed();
  try {
    for await (const [name, told] of ask(entry.task, entry.fields, entry.files, signal)) {
      take(entry, name, told);
      changed();
    }
  } catch (error) {
    if (error.name === "AbortError") entry.state = "stopped";
    else if (error instanceof Problem) {
      entry.state = "failed";
      const { status, code, message, requestId, retryAfter, partial } = error;
      entry.problem = { status, code, detail: message, requestId, retryAfter };
      if (partial && !entry.parts.length) entry.parts = [{ text: partial }];
    } else throw error;
  }
  changed();
}

function take(entry, name, told) {
  if (name === "start") {
    entry.state = "looking";
    entry.images = told.images;
  } else if (name === "queued") {
    entry.state = "queued";
    entry.queue = told;
  } else if (name === "reasoning") {
    entry.state = "thinking";
    entry.thoughts += told.text;
  } else if (name === "delta") {
    entry.state = "answering";
    part(entry, told).text += told.text;
  } else if (name === "done") {
    entry.state = "done";
    entry.answer = told;
  }
}

/** The part of a delta: the text of its question, image and page. */
function part(entry, { question, image, page }) {
  const last = entry.parts.at(-1);
  if (last && last.question === question && last.image === image && last.page === page) return last;
  const same = entry.parts.find((one) => one.question === question && one.image === image && one.page === page);
  if (same) return same;
  const made = { question, image, page, text: "" };
  entry.parts.push(made);
  return made;
}

/** The parts of a complete answer: as streamed, unless the final text differs. */
export function wholeParts({ answer, parts }) {
  if (answer.answers) return answer.answers.map((one, question) => ({ question, text: one.text }));
  const came = parts.filter((one) => one.text);
  return came.length > 1 && came.map((one) => one.text).join("\n\n") === answer.text ? came : [{ text: answer.text }];
}

/** The entry as it is stored for a reload, without files. */
export const stored = (entry) => ({ ...entry, files: [], pictures: [], state: runs(entry) ? "stopped" : entry.state });
