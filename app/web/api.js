// API client: key, errors and stream of events.

import { events } from "./sse.js";
import { kept } from "./session.js";

/** An error response of the server or of a proxy in front of it. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || "");
    this.status = status;
    this.code = body.code || "";
    this.partial = body.partial || "";
    this.requestId = body.request_id || "";
    this.retryAfter = body.retry_after || "";
  }
}

export const key = {
  get: () => kept.get("key", ""),
  set: (value) => kept.set("key", value),
};

// `fetch` takes one byte per character in a header, so the key is encoded as UTF-8.
const bytes = (text) => String.fromCharCode(...new TextEncoder().encode(text));
const authorization = () => (key.get() ? { Authorization: `Bearer ${bytes(key.get())}` } : {});

async function reach(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...options.headers, ...authorization() } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { code: "unreachable" });
  }
  if (!response.ok) throw await refused(response);
  return response;
}

async function refused(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    // A response of a proxy, not of the server.
  }
  if (body.error) body = { ...body.error, detail: body.error.message }; // OpenAI's error format
  body.request_id ||= response.headers.get("x-request-id");
  body.detail ||= `HTTP ${response.status} ${response.statusText}`.trim();
  return new Problem(response.status, { ...body, retry_after: response.headers.get("retry-after") });
}

export const json = async (path) => (await reach(path)).json();

/** Yield the events of one request as [name, object]; ends after `done` or throws a Problem. */
export async function* ask(task, fields, files, signal) {
  const body = new FormData();
  for (const [name, value] of fields) body.append(name, value);
  body.append("stream", "true");
  for (const file of files) body.append("image", file, file.name);
  const headers = { Accept: "text/event-stream" };
  const response = await reach(`/v1/${task}`, { method: "POST", body, headers, signal });
  try {
    for await (const { event, data } of events(response.body)) {
      const told = JSON.parse(data);
      if (event === "error") throw new Problem(told.status, told);
      yield [event, told];
      if (event === "done") return;
    }
  } catch (error) {
    if (error instanceof Problem || error.name === "AbortError") throw error;
    throw new Problem(0, { code: "interrupted" });
  }
  throw new Problem(0, { code: "interrupted" });
}
