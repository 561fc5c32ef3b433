// Example schemas.

const text = { type: ["string", "null"] };
const amount = { type: ["number", "null"] };

const list = (properties) => ({ type: "array", items: { type: "object", properties, required: Object.keys(properties) } });
const object = (properties) => ({ type: "object", properties, required: Object.keys(properties) });

export const SCHEMAS = {
  receipt: object({ store: text, date: text, items: list({ name: text, quantity: amount, price: amount }), total: amount }),
  card: object({ name: text, company: text, title: text, phone: text, email: text, address: text }),
  table: object({ columns: { type: "array", items: { type: "string" } }, rows: { type: "array", items: { type: "array", items: text } } }),
};

/** JSON with short values on one line, so that a schema fits the field. */
export function pretty(value, indent = "") {
  const flat = JSON.stringify(value);
  if (value === null || typeof value !== "object" || flat.length + indent.length < 56) {
    return flat.replace(/":(?=["[{\d])/g, '": ').replace(/,(?=["[{])/g, ", ");
  }
  const deeper = `${indent}  `;
  const inside = Array.isArray(value)
    ? value.map((one) => deeper + pretty(one, deeper))
    : Object.entries(value).map(([name, one]) => `${deeper}${JSON.stringify(name)}: ${pretty(one, deeper)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return `${open}\n${inside.join(",\n")}\n${indent}${close}`;
}
