// Takes a new book, shows its plan, and keeps the list of books current.

import * as api from "../api.js";
import { fillSelect } from "../form.js";
import { capitalised, languageName } from "../words.js";
import { JobView } from "./job.js";
import { showPlan } from "./plan.js";
import * as server from "./server.js";

const element = (id) => document.getElementById(id);
const FIELDS = ["file", "speaker", "language", "formats", "key", "general"];
const ACTIVE = new Set(["queued", "running"]);

const views = new Map(); // of the jobs, by id
let planned = null; // the job whose plan is shown
let watching = null; // {id, abort} of the job whose events are read

// -- errors --

/** Run `action` with the visitor's key, and show its error. */
async function attempt(action) {
  for (const name of FIELDS) element(`${name}-error`).textContent = "";
  api.useKey(element("key").value.trim());
  try {
    return await action();
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    if (!(error instanceof api.ApiError)) throw error;
    const name = FIELDS.includes(error.field) ? error.field : "general";
    element(`${name}-error`).textContent = `${capitalised(error.message)}.`;
    if (name === "key") element("key").closest("details").open = true;
    return undefined;
  }
}

// -- a new book --

const checked = (id) => [...element(id).querySelectorAll("input:checked")].map(({ value }) => value);

function options() {
  const formats = checked("formats");
  if (formats.length === 0) throw new api.ApiError("Choose at least one file", { field: "formats" });
  const spoken = new Set(checked("choices"));
  const choices = [...element("choices").querySelectorAll("input")].map(({ value }) => [value, spoken.has(value)]);
  const given = { formats: formats.join(","), choices: Object.fromEntries(choices) };
  for (const name of ["speaker", "language"]) if (element(name).value) given[name] = element(name).value;
  return given;
}

async function look() {
  const [file] = element("file").files;
  if (!file) throw new api.ApiError("Choose a book first", { field: "file" });
  const chosen = options();
  if (planned) await discard();
  element("look").disabled = true;
  element("sending").textContent = "Reading the book…";
  try {
    planned = await server.create(file, chosen);
    showPlan(await server.plan(planned.id));
    element("plan").scrollIntoView({ block: "nearest" });
  } finally {
    element("look").disabled = false;
    element("sending").textContent = "";
  }
}

async function discard() {
  const { id } = planned;
  planned = null;
  element("plan").hidden = true;
  await server.act(id, "cancel");
  await server.remove(id);
}

async function start() {
  const { id } = planned;
  await server.act(id, "resume");
  planned = null;
  element("plan").hidden = true;
  element("file").value = "";
  showChosen();
  await refresh();
}

function showChosen() {
  element("chosen").textContent = element("file").files[0]?.name ?? "Drop a book here, or choose a file";
}

function onDrop(event) {
  event.preventDefault();
  element("drop").classList.remove("over");
  if (event.dataTransfer.files.length === 0) return;
  element("file").files = event.dataTransfer.files;
  showChosen();
}

// -- the list --

/** Show the jobs as they are now, and watch the one that is next to be made. */
async function refresh() {
  const jobs = (await server.list()).filter(({ id }) => id !== planned?.id);
  element("none").hidden = jobs.length > 0;
  for (const [id, view] of views) {
    if (jobs.some((job) => job.id === id)) continue;
    view.root.remove();
    views.delete(id);
  }
  for (const job of jobs) {
    if (!views.has(job.id)) views.set(job.id, new JobView(job, onAction, attempt));
    await views.get(job.id).show(job);
  }
  element("jobs").replaceChildren(...jobs.map(({ id }) => views.get(id).root));
  watch(jobs.findLast(({ state }) => state === "running") ?? jobs.findLast(({ state }) => ACTIVE.has(state)));
}

async function onAction(job, action) {
  await (action === "remove" ? server.remove(job.id) : server.act(job.id, action));
  await refresh();
}

function watch(job) {
  if (watching?.id === job?.id) return;
  watching?.abort.abort();
  watching = job ? { id: job.id, abort: new AbortController() } : null;
  if (job) follow(job.id, watching.abort.signal);
}

/** Show what becomes of a job, until it waits or ends. */
async function follow(id, signal) {
  await attempt(async () => {
    for await (const now of server.progress(id, signal)) {
      await views.get(id)?.follow(now);
      if (!ACTIVE.has(now.state)) break;
    }
  });
  if (signal.aborted) return;
  watching = null;
  await attempt(refresh);
}

// -- wiring --

async function fillLists() {
  const [voices, languages] = await Promise.all([api.voices("auto"), api.languages("auto")]);
  const named = voices.filter(({ listed }) => listed).map(({ id, name, model, languages: [code] }) => {
    const label = name.endsWith(`(${model})`) ? name : `${name} (${model})`;
    return { value: id, label, group: languageName(code) };
  });
  fillSelect("speaker", [{ value: "", label: "Choose for me" }, ...named]);
  const own = languages.filter((name) => name !== "auto").map((name) => ({ value: name, label: capitalised(name) }));
  fillSelect("language", [{ value: "", label: "As the book says" }, ...own]);
}

function onClick(id, action) {
  element(id).addEventListener("click", () => attempt(action));
}

element("new").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(look);
});
onClick("start", start);
onClick("discard", discard);
element("file").addEventListener("change", showChosen);
element("key").addEventListener("change", () => attempt(refresh));
element("drop").addEventListener("drop", onDrop);
for (const name of ["dragover", "dragleave"]) {
  element("drop").addEventListener(name, (event) => {
    event.preventDefault();
    element("drop").classList.toggle("over", name === "dragover");
  });
}
window.addEventListener("focus", () => attempt(refresh));
attempt(fillLists);
attempt(refresh);
