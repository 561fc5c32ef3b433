// Server-sent events over fetch (WHATWG HTML, 9.2.6): EventSource can neither POST nor send a key.

/** Yield the events of a response body as {event, data}. An incomplete event is dropped. */
export async function* events(body) {
  const lines = new Lines();
  let event = "";
  let data = [];
  for await (const text of decoded(body)) {
    for (const line of lines.feed(text)) {
      if (line === "") {
        if (data.length) yield { event: event || "message", data: data.join("\n") };
        event = "";
        data = [];
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue; // a comment, which keeps the connection alive
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "event") event = value;
      else if (field === "data") data.push(value);
    }
  }
}

async function* decoded(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder(); // drops a byte order mark and buffers incomplete characters
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield decoder.decode(value, { stream: true });
    }
  } finally {
    reader.cancel().catch(() => {}); // aborts the request, which frees the model
  }
}

/** Lines end with CR, LF or CRLF, which may be split between chunks. */
class Lines {
  #rest = "";
  #afterReturn = false;

  *feed(text) {
    if (!text) return;
    if (this.#afterReturn && text[0] === "\n") text = text.slice(1);
    this.#afterReturn = text.endsWith("\r");
    const lines = (this.#rest + text).split(/\r\n|\r|\n/);
    this.#rest = lines.pop();
    yield* lines;
  }
}
