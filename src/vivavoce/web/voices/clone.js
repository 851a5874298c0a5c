// The form for the voice of a recording: from the microphone, or from a file.

import { fillSelect } from "../form.js";
import { element, silence } from "../stage.js";
import { attempt, fieldError, tell, value, whileStop } from "./attempt.js";
import { canRecord, record } from "./recorder.js";
import * as server from "./server.js";
import { listen } from "./trial.js";

// The fields of the form, by the name that an error of the server has for them.
// `ref_audio` is where the recording comes from, `file` or `microphone`.
export const CLONE_FIELDS = {
  name: "clone-name", ref_audio: "clone-file", file: "clone-file", microphone: "record", ref_text: "clone-words",
  languages: "clone-language", language: "clone-language", consent: "consent-by", by: "consent-by",
  words: "consent-words", scope: "consent-scope", expires: "consent-expires",
};
const NO_MICROPHONE =
  "A browser lets a page record only over https or on this machine: serve with vivavoce serve --tls-self-signed, or upload a file.";

let sentences = {}; // by language: {name, read, try}
let requiresConsent = true;
let recording = null; // a Blob
let stop = null; // the AbortController of a running recording

export function startClone() {
  element("clone-language").addEventListener("change", showSentence);
  element("record").addEventListener("click", () => attempt("clone", CLONE_FIELDS, recordOrStop));
  element("listen").addEventListener("click", ({ currentTarget }) => {
    attempt("clone", CLONE_FIELDS, () => whileStop(currentTarget, hear));
  });
  element("clone-file").addEventListener("change", () => attempt("clone", CLONE_FIELDS, upload));
  if (canRecord()) return;
  element("record").disabled = true;
  element("microphone").textContent = NO_MICROPHONE;
}

/** Offer the languages of `known` sentences. */
export function offerLanguages(known) {
  sentences = known;
  const choices = Object.entries(known).map(([value, { name }]) => ({ value, label: name }));
  fillSelect("clone-language", choices, navigator.language.slice(0, 2));
  showSentence();
}

export function requireConsent(isRequired) {
  requiresConsent = isRequired;
  element("consent").textContent = isRequired ? "Consent" : "Consent (optional)";
}

/** Return the fields of a request that speaks with the recording. */
export async function sample() {
  if (!recording) throw fieldError("Record a voice, or choose a file.", "ref_audio");
  return { ref_audio: await server.dataUrl(recording), ref_text: value("clone-words") || undefined };
}

/** Return the body that saves the recording. */
export async function cloneBody() {
  return {
    ...(await sample()),
    name: value("clone-name"),
    languages: [value("clone-language")].filter(Boolean), // none while they are being fetched
    consent: chosenConsent(),
  };
}

function chosenConsent() {
  const [by, words, scope, expires] = ["by", "words", "scope", "expires"].map((name) => value(`consent-${name}`));
  return by || words || requiresConsent ? consentOf({ by, words, scope, expires }) : undefined;
}

/** Return the record of a consent, of what was filled in. */
export function consentOf({ by, words, scope, expires }) {
  if (!by) throw fieldError("Say who speaks, and agrees.", "by");
  if (!words) throw fieldError("Write down what they said to agree.", "words");
  return { by, words, scope: scope || undefined, expires: expires || undefined };
}

/** Empty what belongs to the recording, after it was saved. */
export function forgetRecording() {
  recording = null;
  for (const id of ["clone-file", "clone-words", "clone-name"]) element(id).value = "";
  element("recorded").textContent = "No recording yet";
  element("recording-facts").textContent = "";
  element("record").textContent = "Record";
  element("listen").disabled = true;
}

function showSentence() {
  const language = value("clone-language");
  Object.assign(element("reading"), { lang: language, textContent: sentences[language].read });
}

async function recordOrStop() {
  if (stop) return stop.abort();
  silence(); // the microphone would hear it
  stop = new AbortController();
  element("record").textContent = "Stop recording";
  tell("clone", "Recording…");
  try {
    const recorded = await record(showLevel, stop.signal);
    element("clone-file").value = "";
    element("clone-words").value = element("reading").textContent;
    CLONE_FIELDS.ref_audio = CLONE_FIELDS.microphone;
    take(recorded, element("recorded").textContent);
    tell("clone", "Recorded. Listen to it, and correct its words below if you read others.");
  } finally {
    stop = null;
    element("record").textContent = recording ? "Record again" : "Record";
    element("level").value = 0;
  }
  await check();
}

function showLevel(level, seconds) {
  element("level").value = level;
  element("recorded").textContent = `${seconds.toFixed(1)} s`;
}

async function upload() {
  const [file] = element("clone-file").files;
  if (!file) return;
  const wasRead = Object.values(sentences).some(({ read }) => read === value("clone-words"));
  if (wasRead) element("clone-words").value = ""; // they belong to a recording that the file replaces
  CLONE_FIELDS.ref_audio = CLONE_FIELDS.file;
  take(file, file.name);
  await check();
}

/** Show what the recording lacks, before it is saved. */
async function check() {
  const asked = recording;
  element("recording-facts").textContent = "";
  const { duration_s, warnings } = await server.checked(recording);
  if (asked !== recording) return;
  const lacks = warnings.map((warning) => `It is ${warning}.`).join(" ");
  element("recording-facts").textContent = `${duration_s.toFixed(1)} s of sound. ${lacks || "A good recording."}`;
}

function take(blob, label) {
  recording = blob;
  element("recorded").textContent = label;
  element("listen").disabled = false;
}

async function hear() {
  try {
    await listen(recording, (words) => tell("clone", words));
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    throw fieldError("This browser cannot play it; the server may still read it.", "ref_audio");
  }
}
