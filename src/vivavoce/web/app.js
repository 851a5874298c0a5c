// Connects the form, the server and the player.

import * as api from "./api.js";
import { clearErrors, describe, fillSelect, readRequest, remember, remembered, restore, showError } from "./form.js";
import { Typing } from "./live/typing.js";
import { openContext } from "./player.js";
import {
  element, makePlayer, playFrom, show, showButtons, showFacts, showReceived, silence, stage, tell,
} from "./stage.js";
import { Transcript } from "./transcript.js";
import { wavBlob } from "./wav.js";
import { startVoices } from "./voices/panel.js";
import { capitalised, languageName, realTimeFactor, serverSentence } from "./words.js";

const typing = new Typing({ speak, fail, report });
const chosenModel = () => element("model").value;

let refreshing = new AbortController();
let explaining = new AbortController();
let highlightChosen = false; // by the visitor, and so not by the model
const TYPING_MS = 300; // how long a pause of the author is, before the text is explained

// -- speaking --

async function speak() {
  const clickedAt = performance.now();
  silence();
  clearErrors();
  remember();
  const request = readRequest();
  api.useKey(element("key").value.trim());
  const speech = (stage.current = { abort: new AbortController(), player: null });
  stage.last = null;
  element("words").replaceChildren();
  show("waiting", "Waiting for the first sound…");
  try {
    openContext(request.sample_rate); // in the click handler, or the browser blocks sound
    const body = { ...request, stream: true, format: "pcm" };
    if (element("highlight").checked) {
      body.timestamps = "word";
      speech.transcript = new Transcript(element("words"), request.text, (startS) => playFrom(speech, startS));
    }
    const { response, facts } = await api.synthesize(body, speech.abort.signal);
    showFacts(facts);
    speech.player = makePlayer(facts, clickedAt, speech);
    await pump(response, speech);
    speech.transcript?.finish();
    const tookS = (performance.now() - clickedAt) / 1000;
    showReceived(speech);
    element("real-time-factor").textContent = realTimeFactor(tookS / speech.player.receivedS);
    stage.last = { request, facts, speech };
    showButtons();
    speech.player.finish();
  } catch (error) {
    if (speech === stage.current) fail(error); // otherwise Stop or the next Speak has ended it
  }
}

/** Give the audio of a response to the player, and its words to the transcript. */
async function pump(response, speech) {
  const { player, transcript } = speech;
  const chunks = transcript ? api.timedChunks(response) : plainChunks(response.body);
  try {
    for await (const { bytes, words } of chunks) {
      if (words) transcript.add(words);
      player.write(bytes);
      showReceived(speech);
    }
  } catch (error) {
    throw api.brokenOff(error);
  }
}

async function* plainChunks(body) {
  const reader = body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield { bytes: part.value };
}

function fail(error) {
  silence();
  element("facts").hidden = true;
  show("failed", "Not spoken.");
  report(error);
}

function report(error) {
  if (!(error instanceof api.ApiError)) throw error;
  showError(error);
  showServer(); // its state may explain the error
}

function stop() {
  if (!stage.current && !stage.saving) return;
  stage.saving?.abort();
  if (stage.current?.interrupt) return stage.current.interrupt();
  silence();
  show("stopped", "Stopped.");
}

// -- explaining --

/** Show what the form would say, while its panel is open. */
async function explain() {
  explaining.abort();
  if (!element("explanation").open) return;
  const { signal } = (explaining = new AbortController());
  await new Promise((resolve) => setTimeout(resolve, TYPING_MS));
  if (signal.aborted) return;
  try {
    api.useKey(element("key").value.trim());
    showExplanation(await api.explain(readRequest(), signal));
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof api.ApiError)) throw error;
    element("segments").replaceChildren();
    element("explained").textContent = error.message;
  }
}

function showExplanation({ model, speaker, language, segments, unspoken }) {
  const left = unspoken.length ? ` Not spoken: ${unspoken.join(" ")}` : "";
  element("explained").textContent = `${speaker} (${model}), ${languageName(language)}.${left}`;
  element("segments").replaceChildren(
    ...segments.map(({ spoken, pause_s }) => {
      const item = document.createElement("li");
      item.textContent = pause_s ? `${spoken} (${pause_s} s)` : spoken;
      return item;
    }),
  );
}

// -- downloading --

async function download() {
  const { request, facts, speech } = stage.last;
  const format = element("format").value;
  clearErrors();
  if (format === "wav") {
    const mark = `vivavoce; synthetic speech; model=${facts.model}; voice=${facts.voice}`;
    const file = wavBlob(speech.player.chunks, facts.rateHz, facts.isMarked ? mark : "");
    return save(file, facts, format);
  }
  const { signal } = (stage.saving = new AbortController());
  showButtons();
  tell(`Speaking it again as ${format}…`);
  try {
    // Name the model of the first answer: "auto" could choose another one.
    const same = { ...request, model: facts.model, speaker: facts.voice, language: facts.language, format };
    const { response } = await api.synthesize(same, signal);
    save(await response.blob(), facts, format);
    tell("Downloaded.");
  } catch (error) {
    if (error.name !== "AbortError") report(error); // otherwise Stop was pressed and has reported it
  } finally {
    stage.saving = null;
    showButtons();
  }
}

function save(blob, facts, format) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${facts.model}-${facts.voice}.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser reads it some time after the click
}

// -- showing --

async function showServer() {
  try {
    const [health, models] = await Promise.all([api.health(), api.models()]);
    element("server").textContent = serverSentence(health, models);
    if (element("format").length === 1) describe(await api.fields()); // WAV needs no server
    const choices = models.map(({ id, state }) => ({ value: id, label: state === "missing" ? `${id} (missing)` : id }));
    fillSelect("model", [{ value: "auto", label: "Choose for me" }, ...choices], chosenModel());
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error;
    element("server").textContent = error.message;
  }
}

/** Fill in speakers and languages of the chosen model. `chosen` comes from the last visit. */
async function refreshLists(chosen = {}) {
  refreshing.abort();
  const { signal } = (refreshing = new AbortController());
  const model = chosenModel();
  element("form").setAttribute("aria-busy", "true");
  try {
    const [voices, languages] = await Promise.all([api.voices(model, signal), api.languages(model, signal)]);
    fillSelect("speaker", speakerChoices(voices), chosen.speaker);
    fillSelect("language", languages.map(languageChoice), chosen.language);
    await chooseHighlight(model, signal);
  } catch (error) {
    if (error.name === "AbortError") return; // another model has been chosen meanwhile
    if (!(error instanceof api.ApiError)) throw error;
    fillSelect("speaker", speakerChoices([]));
    fillSelect("language", [languageChoice("auto")]);
    showError({ message: error.message, field: "model" });
  }
  element("form").removeAttribute("aria-busy");
}

/** Highlight words where it costs no time, unless the visitor has chosen. */
async function chooseHighlight(model, signal) {
  let isTimed = false;
  try {
    isTimed = await api.isTimed(model, signal);
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error; // the server asks for a key, which may follow
  }
  if (!highlightChosen) element("highlight").checked = isTimed;
}

function speakerChoices(voices) {
  const severalModels = new Set(voices.map((voice) => voice.model)).size > 1;
  const choice = (voice) => ({
    value: voice.id,
    // The server marks equal names of two models itself.
    label:
      severalModels && !voice.name.endsWith(`(${voice.model})`)
        ? `${voice.name} (${voice.model})`
        : voice.name,
    group: voice.listed ? undefined : languageName(voice.languages[0]),
  });
  const listedFirst = [...voices].sort((a, b) => Number(b.listed) - Number(a.listed));
  return [{ value: "", label: "Choose for me" }, ...listedFirst.map(choice)];
}

function languageChoice(name) {
  return { value: name, label: name === "auto" ? "Choose for me" : capitalised(name) };
}

// -- wiring --

function onKey(event) {
  if (event.key === "Escape") stop();
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  onSpeak();
}

function onSpeak() {
  return typing.isOn ? typing.speak() : speak();
}

async function onModel() {
  clearErrors(["model", "speaker", "language"]);
  remember();
  await refreshLists();
  showServer(); // models may have finished loading
}

async function start() {
  const choices = remembered();
  restore(choices);
  element("form").addEventListener("submit", (event) => {
    event.preventDefault();
    onSpeak();
  });
  element("form").addEventListener("change", remember);
  element("stop").addEventListener("click", stop);
  element("typing").addEventListener("change", ({ target }) => typing.turn(target.checked));
  for (const event of ["input", "compositionend"]) element("text").addEventListener(event, (input) => typing.onInput(input));
  element("download").addEventListener("click", download);
  element("model").addEventListener("change", onModel);
  element("highlight").addEventListener("change", () => (highlightChosen = true));
  element("speed-slider").addEventListener("input", () => (element("speed").value = element("speed-slider").value));
  element("speed").addEventListener("input", () => (element("speed-slider").value = element("speed").value));
  for (const event of ["input", "change"]) element("form").addEventListener(event, explain);
  element("explanation").addEventListener("toggle", explain);
  startVoices(refreshLists);
  document.addEventListener("keydown", onKey);
  await showServer();
  const offered = [...element("model").options].map(({ value }) => value);
  if (offered.includes(choices.model)) element("model").value = choices.model;
  await refreshLists(choices);
  showServer();
}

start();
