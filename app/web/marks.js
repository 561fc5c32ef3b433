// Boxes of an answer, and how to draw them over an image.

import { h } from "./dom.js";
import { t } from "./i18n.js";

export const COLOURS = 8;

/** The boxes of an answer: {id, label, box, image, page, colour, tagged}; without a box, box is null. */
export function marksOf(answer) {
  if (answer?.objects) {
    const labels = [...new Set(answer.objects.map((one) => one.label))];
    return answer.objects.map((one, id) => ({ ...one, id, colour: labels.indexOf(one.label) % COLOURS, tagged: true }));
  }
  const lines = answer?.task === "ocr" ? answer.data?.lines : null;
  return (lines ?? []).map((line, id) => ({ ...line, label: line.text, id, colour: 0, tagged: false }));
}

/** The size of the upright original, in whose pixels the boxes are. */
const sizeOf = (answer, image, page) =>
  answer.images.find((one) => one.index === image && (one.page ?? null) === (page ?? null));

/** Why boxes cannot be drawn over an image as the browser shows it; empty if they can. */
function hindrance(picture, info) {
  if (picture.isPdf) return t("boxes.pdf");
  if (!picture.width) return t("boxes.hidden", { kind: picture.kind });
  const [shown, seen] = [picture.width / picture.height, info.width / info.height];
  // Allow for rounding by a pixel; the ratio of a rotated image differs much more.
  if (Math.abs(shown / seen - 1) < 0.02 + 2 / Math.min(info.width, info.height)) return "";
  return t("boxes.turned", { shown: `${picture.width} × ${picture.height}`, seen: `${info.width} × ${info.height}` });
}

/** Draw the boxes of an answer over an image.
 * @returns a note about boxes that are not drawn; empty if all are. */
export function draw(layer, picture, image, answer) {
  layer.replaceChildren();
  const here = marksOf(answer).filter((mark) => mark.image === image && mark.box);
  const drawn = here.filter((mark) => (mark.page ?? 1) === 1);
  if (!here.length) return "";
  const info = sizeOf(answer, image, here[0].page);
  if (!info) return "";
  const reason = hindrance(picture, info);
  if (reason) return reason;
  layer.append(...drawn.map((mark) => box(mark, info)));
  return drawn.length < here.length ? t("boxes.pages", { page: 1 }) : "";
}

function box({ id, box: [left, top, right, bottom], label, colour, tagged }, { width, height }) {
  const element = h("div", { class: tagged ? "box tagged" : "box", title: label, data: { mark: id, colour } });
  const share = (value, whole) => `${(100 * value) / whole}%`;
  element.style.left = share(left, width);
  element.style.top = share(top, height);
  element.style.width = share(right - left, width);
  element.style.height = share(bottom - top, height);
  if (tagged) {
    const high = top / height < 0.08;
    const late = left / width > 0.6;
    element.append(h("span", { class: `tag${high ? " inside" : ""}${late ? " late" : ""}` }, label));
  }
  return element;
}
