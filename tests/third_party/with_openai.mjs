// JavaScript's `openai` package, as a program: says as JSON what it got.
//     node with_openai.mjs BASE_URL MODEL IMAGE
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const [baseURL, model, image] = process.argv.slice(2);
const url = `data:image/jpeg;base64,${readFileSync(image).toString("base64")}`;
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const content = [
  { type: "text", text: "What is it?" },
  { type: "image_url", image_url: { url, detail: "low" } },
];
const settings = {
  model,
  messages: [{ role: "user", content }],
  max_tokens: 12,
  temperature: 0,
};

const answer = await client.chat.completions.create(settings);
const stream = await client.chat.completions.create({
  ...settings,
  stream: true,
  stream_options: { include_usage: true },
});
let text = "";
let usage = null;
for await (const chunk of stream) {
  text += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}
const schema = {
  type: "object",
  properties: { colour: { enum: ["red", "blue"] } },
  required: ["colour"],
};
const held = await client.chat.completions.create({
  ...settings,
  max_tokens: 100,
  response_format: { type: "json_schema", json_schema: { name: "seen", schema } },
});
let refused = null;
try {
  await client.chat.completions.create({ ...settings, model: "gpt-4o" });
} catch (error) {
  refused = [error.constructor.name, error.status, error.code];
}
const models = [];
for await (const one of client.models.list()) models.push(one.id);
console.log(
  JSON.stringify({
    text: answer.choices[0].message.content,
    streamed: text,
    total: usage.total_tokens,
    held: JSON.parse(held.choices[0].message.content),
    refused,
    models,
  }),
);
