// Holds the speech that is being made or played, and shows how far it is.

import { Player } from "./player.js";
import { ignoredSentence, languageName, seconds } from "./words.js";

export const element = (id) => document.getElementById(id);

/**
 * `current` is the speech being made or played: {abort, player}, with words {transcript}, and if it
 * tells what was heard {interrupt}.
 * `last` is the complete speech, which can be downloaded and played again: {request, facts, speech}.
 * `saving` is the AbortController of a download that is being made.
 */
export const stage = { current: null, last: null, saving: null };

/** Return the player of a speech that was asked for at `clickedAt`. */
export function makePlayer(facts, clickedAt, speech) {
  const progress = element("progress");
  const listener = {
    onFirstSound(at) {
      element("first-sound").textContent = seconds((at - clickedAt) / 1000);
      show("speaking", "Speaking…");
      markWords(speech);
    },
    onProgress(playedS) {
      progress.max = player.receivedS;
      progress.value = playedS;
      speech.onProgress?.();
    },
    onEnd() {
      stage.current = null;
      show("done", "Finished.");
    },
  };
  const player = new Player(facts.rateHz, listener, speech.gapS);
  return player;
}

/** Mark each word while it is heard. */
function markWords(speech) {
  if (speech !== stage.current || !speech.transcript) return;
  speech.transcript.mark(speech.player.heardS);
  requestAnimationFrame(() => markWords(speech));
}

/** Play from a word on, while the speech is being made or when it is complete. */
export function playFrom(speech, startS) {
  if (speech !== stage.current && speech !== stage.last?.speech) return;
  const wasQuiet = speech !== stage.current;
  stage.current = speech;
  speech.player.seek(startS);
  show("speaking", "Speaking…");
  if (wasQuiet) markWords(speech);
}

export function silence() {
  stage.current?.abort.abort();
  stage.current?.player?.stop();
  stage.current = null;
}

export function show(state, words) {
  document.querySelector("main").dataset.state = state;
  if (state === "waiting") element("progress").value = 0;
  if (state === "done") element("progress").value = element("progress").max;
  tell(words);
  showButtons();
}

export function tell(words) {
  element("status").textContent = words;
}

export function showButtons() {
  element("stop").disabled = !stage.current && !stage.saving;
  element("download").disabled = !stage.last || stage.saving !== null;
}

export function showFacts(facts) {
  element("facts").hidden = false;
  for (const id of ["first-sound", "audio-length", "real-time-factor"]) element(id).textContent = "–";
  element("answered-model").textContent = facts.model;
  element("answered-voice").textContent = facts.voice;
  element("answered-language").textContent = languageName(facts.language);
  element("ignored").textContent = ignoredSentence(facts);
}

export function showReceived({ player }) {
  element("audio-length").textContent = seconds(player.receivedS);
}
