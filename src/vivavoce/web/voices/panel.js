// The part "Your voices": the list of saved voices, and the forms for new ones.

import { element } from "../stage.js";
import { attempt, chosenFile, tell, value, whileStop } from "./attempt.js";
import { CLONE_FIELDS, cloneBody, consentOf, forgetRecording, offerLanguages, requireConsent, sample, startClone } from "./clone.js";
import { DESIGN_FIELDS, designBody, forgetPreviews, offerPreviewLanguages, startDesign } from "./design.js";
import { ask, buttonOf, fieldOf, placeOf, showVoices } from "./list.js";
import * as server from "./server.js";
import { speak } from "./trial.js";

const MIX_FIELDS = { name: "mix-name", speaker: "mix-formula", formula: "mix-formula" };
const IMPORT_FIELDS = { name: "import-name", file: "import-file" };

let sentences = {};
let onChange; // called when there are other voices to choose

export function startVoices(listener) {
  onChange = listener;
  startClone();
  startDesign();
  element("voices").addEventListener("toggle", showIfOpen);
  element("key").addEventListener("change", showIfOpen);
  onSubmit("clone", CLONE_FIELDS, async () => {
    const voice = await server.create(await cloneBody());
    forgetRecording();
    return voice;
  });
  onSubmit("mix", MIX_FIELDS, async () => {
    const voice = await server.create({ name: value("mix-name"), formula: value("mix-formula") });
    element("mix-name").value = "";
    return voice;
  });
  onSubmit("design", DESIGN_FIELDS, async () => {
    const voice = await server.create(designBody());
    forgetPreviews();
    return voice;
  });
  onSubmit("import", IMPORT_FIELDS, async () => {
    const voice = await server.imported(chosenFile("import-file", "file"), value("import-name"));
    element("import").reset();
    return voice;
  });
  onTry("clone", CLONE_FIELDS, async () => speakTrial(value("clone-language"), await sample(), "clone"));
  onTry("mix", MIX_FIELDS, () => speakTrial("en", { speaker: value("mix-formula") }, "mix"));
}

// -- the list --

function showIfOpen() {
  if (element("voices").open) refresh();
}

function refresh() {
  return attempt("voices", {}, async () => {
    await loadSentences();
    const { voices, requires_consent, missing } = await server.list();
    requireConsent(requires_consent);
    for (const way of ["clone", "mix"]) showMissing(way, "You can save the voice, but not yet speak with it", missing[way]);
    showMissing("design", "No voice can be designed here yet", missing.design);
    element("design").hidden = "design" in missing;
    showVoices(element("saved"), voices, actionsOf);
    tell("voices", voices.length === 0 ? "You have no voices yet." : "");
  });
}

/** Say what the server lacks for a way to make a voice, if it lacks anything: `how` it gets it. */
function showMissing(way, consequence, how) {
  element(`${way}-missing`).hidden = !how;
  element(`${way}-missing`).textContent = how ? `${consequence}: ${how}` : "";
  if (element(`${way}-try`)) element(`${way}-try`).hidden = Boolean(how);
}

function actionsOf(voice) {
  const actions = {
    Try: (button) => onVoice(voice, () => whileStop(button, () => speakTrial(voice.languages[0], { speaker: voice.id }, placeOf(voice)))),
    Edit: () => edit(voice),
    Consent: () => renewConsent(voice),
    Export: () => onVoice(voice, async () => download(await server.exported(voice), `${voice.name}.vvoice`)),
    Revoke: () => onVoice(voice, async () => {
      if (!confirm(`End the consent to ${voice.name}? Its recording is erased for good.`)) return;
      await server.revoked(voice);
      await changed("voices", `The consent to ${voice.name} has ended.`, voice);
    }),
    Delete: () => onVoice(voice, async () => {
      if (!confirm(`Delete ${voice.name} with its record?`)) return;
      await server.removed(voice);
      await changed("voices", `Deleted ${voice.name}.`);
    }),
  };
  return Object.fromEntries(Object.entries(actions).filter(([name]) => isOffered(name, voice)));
}

function isOffered(name, { kind, ended, changeable }) {
  if (!changeable) return name === "Try" && !ended; // another key shares it
  if (ended) return ["Edit", "Delete"].includes(name);
  return kind === "cloned" || !["Consent", "Revoke"].includes(name);
}

function edit(voice) {
  const isRecording = voice.kind === "cloned" && !voice.ended;
  const words = { name: "words", label: "Words of the recording", value: voice.words ?? "", type: "area", hint: "Exactly what is said in it. Without them the voice is less like the speaker’s." };
  const fields = [
    { name: "name", label: "Name", value: voice.name },
    { name: "description", label: "Description (optional)", value: voice.description },
    { name: "labels", label: "Labels (optional)", value: linesOf(voice.labels), type: "area", hint: "Words of your own, one on a line, with a value each: mood: calm" },
    ...(isRecording ? [words] : []),
  ];
  askFor(voice, "Edit", { title: "Changes", fields }, async ({ name, description, labels, words }) => {
    const isOther = isRecording && words !== (voice.words ?? "");
    const saved = await server.changed(voice, { name, description, labels: labelsIn(labels), words: isOther ? words : undefined });
    return [saved, `Changed ${name}.`];
  });
}

function renewConsent(voice) {
  const { by = "", words = "", scope = "", expires } = voice.consent ?? {};
  const hint = voice.consent ? "The record that this one replaces is kept." : "";
  const fields = [
    { name: "by", label: "Who speaks, and agrees", value: by },
    { name: "words", label: "What they said to agree", value: words, type: "area" },
    { name: "scope", label: "What it may be used for (optional)", value: scope },
    { name: "expires", label: "Last day (optional)", value: expires ?? "", type: "date", hint },
  ];
  askFor(voice, "Consent", { title: "Consent", fields }, async (values) => [
    await server.renewed(voice, consentOf(values)),
    `The consent to ${voice.name} is saved.`,
  ]);
}

/** Ask in place of the button `name`. `save(values)` returns the voice as it is then, and what to say. */
function askFor(voice, name, { title, fields }, save) {
  const list = element("saved");
  const ids = Object.fromEntries(fields.map((field) => [field.name, fieldOf(voice, field.name)]));
  const cancel = async () => {
    await refresh();
    buttonOf(list, voice, name)?.focus();
  };
  const submit = (values) => onVoice(voice, async () => {
    const [saved, words] = await save(values);
    await changed("voices", words);
    buttonOf(list, saved, name)?.focus();
  }, ids);
  ask(list, voice, { title, fields, save: submit, cancel });
}

/** Run an action on a voice, whose error is shown below the voice, or beside one of `fields`. */
function onVoice(voice, action, fields = {}) {
  return attempt(placeOf(voice), fields, action);
}

const linesOf = (labels) => Object.entries(labels).map(([label, value]) => `${label}: ${value}`).join("\n");

function labelsIn(text) {
  const lines = text.split("\n").filter((line) => line.trim());
  return Object.fromEntries(lines.map((line) => {
    const [label, ...value] = line.split(":");
    return [label.trim(), value.join(":").trim()];
  }));
}

// -- new voices --

function onSubmit(form, fields, save) {
  element(form).addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(form, fields, async () => {
      tell(form, "Saving…");
      const { name, warnings } = await save();
      await changed(form, [`Saved ${name}.`, ...warnings.map((one) => `The recording is ${one}.`)].join(" "));
    });
  });
}

function onTry(form, fields, action) {
  element(`${form}-try`).addEventListener("click", ({ currentTarget }) => {
    attempt(form, fields, () => whileStop(currentTarget, action));
  });
}

/** Show the list again, and say what was done. If the button of it is gone, `voice` has the focus. */
async function changed(place, words, voice) {
  await refresh();
  tell(place, words);
  const left = voice && buttonOf(element("saved"), voice, "Edit");
  if (document.activeElement === document.body) (left ?? element("voices").querySelector("summary")).focus();
  await onChange();
}

/** Speak a short sentence in `language`, or in English. `voice` has the fields of a request that name it. */
async function speakTrial(language, voice, place) {
  await loadSentences();
  const code = language in sentences ? language : "en";
  await speak({ text: sentences[code].try, language: code, ...voice }, (words) => tell(place, words));
}

async function loadSentences() {
  if (Object.keys(sentences).length > 0) return;
  sentences = await server.sentences();
  offerLanguages(sentences);
  offerPreviewLanguages(sentences);
}

function download(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser reads it some time after the click
}
