// Calls the server about jobs. Knows its paths and JSON, and nothing of the page.

import { call, getJson } from "../api.js";

const PATH = "v1/jobs";
const pathOf = (id, ...parts) => [PATH, ...[id, ...parts].map(encodeURIComponent)].join("/");
const json = async (answer) => (await answer).json();

export const list = async () => (await getJson(PATH)).jobs;
export const get = (id) => getJson(pathOf(id));
export const plan = (id) => getJson(pathOf(id, "plan"));
export const chapters = async (id) => (await getJson(pathOf(id, "chapters"))).chapters;
export const files = async (id) => (await getJson(pathOf(id, "files"))).files;
export const chapterUrl = (id, number) => pathOf(id, "chapters", number);
export const fileUrl = (id, name) => pathOf(id, "files", name);

/** `action` is pause, resume, cancel or retry. */
export const act = (id, action) => json(call(pathOf(id, action), { method: "POST" }));
export const remove = (id) => call(pathOf(id), { method: "DELETE" });

/** Return what is at a URL, for a server that asks for a key, which a player does not send. */
export const blob = async (url) => (await call(url)).blob();

/** Make a job that waits, for its plan. `options` are fields of the API. */
export function create(file, options) {
  const form = new FormData();
  for (const [name, value] of Object.entries({ ...options, paused: true })) {
    form.append(name, typeof value === "object" ? JSON.stringify(value) : value);
  }
  form.append("file", file);
  return json(call(PATH, { method: "POST", body: form }));
}

/** Yield where a job stands, until it ends or `signal` is aborted. */
export async function* progress(id, signal) {
  const headers = { Accept: "text/event-stream" };
  const { body } = await call(pathOf(id, "events"), { headers, signal });
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line.startsWith("data: ")) yield JSON.parse(line.slice(6));
  }
}
