// The selected images: from the file dialog, drag and drop, paste or camera; one is shown at a time.

import { $, h, icon } from "./dom.js";
import { onLanguage, size, t } from "./i18n.js";
import { draw } from "./marks.js";

const DOCUMENTS = /\.(pdf|tiff?)$/i;
let last = 0;

/** A file and its preview; `width` and `height` are 0 if the browser cannot display it. */
function picture(file) {
  const isPdf = file.type === "application/pdf" || /\.pdf$/i.test(file.name);
  const ending = /\.(\w{1,5})$/.exec(file.name)?.[1] ?? file.type.split("/")[1] ?? "";
  return {
    id: (last += 1),
    file,
    name: file.name,
    isPdf,
    hasPages: isPdf || DOCUMENTS.test(file.name) || file.type === "image/tiff",
    kind: ending.toUpperCase().replace("JPG", "JPEG"),
    url: isPdf ? "" : URL.createObjectURL(file),
    image: null,
    width: 0,
    height: 0,
  };
}

/** Load the preview; the size is known only if the browser can display the file. */
async function look(one) {
  if (!one.url) return;
  const image = h("img", { src: one.url });
  try {
    await image.decode();
    [one.width, one.height] = [image.naturalWidth, image.naturalHeight]; // upright: the browser applies the EXIF orientation
    one.image = image;
  } catch {
    URL.revokeObjectURL(one.url);
    one.url = "";
  }
}

export class Pictures {
  items = [];
  #selected = null;
  #answer = null; // the answer whose boxes are drawn
  #order = []; // the ids of its images, in order
  #changed;
  #say;
  #refuse;

  /** @param changed called when images were added or removed; `say` announces to screen readers, `refuse` shows an error. */
  constructor(changed, say, refuse) {
    this.#changed = changed;
    this.#say = say;
    this.#refuse = refuse;
    this.#listen();
    onLanguage(() => this.#render());
    this.#render();
  }

  get files() {
    return this.items.map((one) => one.file);
  }

  async add(files) {
    const empty = files.find((file) => !file.size);
    const added = files.filter((file) => file.size).map(picture);
    this.#refuse(empty ? t("picture.empty", { name: empty.name }) : "");
    if (!added.length) return;
    await Promise.all(added.map(look));
    this.items.push(...added);
    this.#selected = added[0];
    this.#render();
    this.#changed();
    this.#say(t("picture.added", { names: added.map((one) => one.name).join(", ") }));
  }

  remove(one) {
    const at = this.items.indexOf(one);
    if (at < 0) return;
    this.items.splice(at, 1);
    if (one.url) URL.revokeObjectURL(one.url);
    if (this.#selected === one) this.#selected = this.items[Math.min(at, this.items.length - 1)] ?? null;
    this.#render();
    this.#changed();
    this.#say(t("picture.removed", { name: one.name }));
    (this.#selected ? $("strip").querySelector("[aria-current=true]") : $("choose")).focus();
  }

  /** Draw the boxes of an answer; without an answer remove them. */
  mark(answer, order = []) {
    if (answer === this.#answer && order === this.#order) return;
    this.#answer = answer;
    this.#order = order;
    const first = answer && this.items.find((one) => one.id === order[answer.objects?.[0]?.image ?? 0]);
    if (first && !order.includes(this.#selected?.id)) this.#selected = first;
    this.#render();
  }

  /** Highlight a box, or none (null). */
  point(id) {
    for (const box of $("frame").querySelectorAll(".box")) {
      box.classList.toggle("meant", box.dataset.mark === String(id));
    }
    $("frame").classList.toggle("pointing", id !== null);
  }

  show(one) {
    this.#selected = one;
    this.#render();
  }

  showOf(order, image) {
    const one = this.items.find((item) => item.id === order[image]);
    if (one && one !== this.#selected) this.show(one);
  }

  #listen() {
    for (const [button, input] of [["choose", "files"], ["take", "camera"]]) {
      $(button).addEventListener("click", () => $(input).click());
      $(input).addEventListener("change", () => {
        this.add([...$(input).files]);
        $(input).value = ""; // so that the same file can be selected again
      });
    }
    let over = 0;
    const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
    const highlight = (change) => {
      over = Math.max(0, over + change);
      document.body.classList.toggle("dropping", over > 0);
    };
    addEventListener("dragenter", (event) => hasFiles(event) && highlight(1));
    addEventListener("dragleave", (event) => hasFiles(event) && highlight(-1));
    addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
    addEventListener("drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      highlight(-over);
      this.add([...event.dataTransfer.files]);
    });
    addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (!files.length) return;
      event.preventDefault();
      this.add(files);
    });
  }

  #render() {
    const one = this.#selected;
    $("empty").hidden = Boolean(one);
    $("shown").hidden = !one;
    $("stage").classList.toggle("filled", Boolean(one));
    $("strip").hidden = !one;
    $("strip").replaceChildren(...this.items.map((item) => this.#thumbnail(item)), this.#plus());
    if (one) this.#renderStage(one);
  }

  #renderStage(one) {
    const image = this.#order.indexOf(one.id);
    const layer = h("div", { class: "layer", "aria-hidden": "true" });
    const note = this.#answer && image >= 0 ? draw(layer, one, image, this.#answer) : "";
    if (one.image) one.image.alt = t("picture.alt", { name: one.name });
    const seen = one.image ?? placeholder(one);
    $("frame").className = one.image ? "frame" : "frame unseen-file";
    $("frame").replaceChildren(seen, layer);
    const facts = [one.width ? `${one.width} × ${one.height}` : one.kind, size(one.file.size)];
    $("caption").replaceChildren(
      h("span", { class: "name" }, one.name),
      h("span", { class: "facts" }, facts.join(" · ")),
      ...(note ? [h("span", { class: "why", role: "note" }, note)] : []),
    );
  }

  #thumbnail(one) {
    const chosen = one === this.#selected;
    const seen = one.url ? h("img", { src: one.url, alt: "" }) : h("span", { class: "kind" }, one.kind);
    const show = { type: "button", class: "thumb", "aria-current": chosen ? "true" : "false", "aria-label": t("picture.show", { name: one.name }) };
    return h("li", { class: chosen ? "chosen" : null },
      h("button", { ...show, on: { click: () => this.#pick(one) } }, seen),
      h("button", { type: "button", class: "remove", "aria-label": t("picture.remove", { name: one.name }), on: { click: () => this.remove(one) } }, icon("close")));
  }

  #pick(one) {
    this.show(one);
    $("strip").querySelector("[aria-current=true]").focus();
  }

  #plus() {
    return h("li", {},
      h("button", { type: "button", class: "thumb add", "aria-label": t("picture.add"), on: { click: () => $("files").click() } }, icon("add")));
  }
}

function placeholder(one) {
  return h("div", { class: "placeholder" }, icon("file"),
    h("strong", {}, one.kind || "?"),
    h("p", {}, one.isPdf ? t("picture.pdf") : t("picture.hidden", { kind: one.kind })));
}
