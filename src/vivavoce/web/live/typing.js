// Speaks the text of the form while somebody types it.

import * as api from "../api.js";
import { clearErrors, readRequest, remember } from "../form.js";
import { START_DELAY_S, openContext } from "../player.js";
import { element, makePlayer, playFrom, show, showFacts, showReceived, silence, stage, tell } from "../stage.js";
import { Transcript, showHeard } from "../transcript.js";
import { LiveText } from "./connection.js";
import { Typed } from "./typed.js";

// People type slower than they speak, so words that are sent alone are spoken alone. Clauses sound
// better, and words if their author pauses.
const PAUSE_MS = 1000;
const TOLD_CHARS = 100; // of a text that a screen reader reads out
const WORD = /[\p{L}\p{N}]/u;

/** The mode "Speak while I type". `speak` speaks the form as usual, the others show an error. */
export class Typing {
  #page;
  #typed = null; // what is new of the text, while the mode is on
  #pause; // the timer of the author's pause

  constructor({ speak, fail, report }) {
    this.#page = { speak, fail, report };
  }

  get isOn() {
    return this.#typed !== null;
  }

  async turn(on) {
    if (!on && live()) this.speak();
    this.#typed = on ? new Typed(element("text").value) : null;
    if (!on) return;
    clearErrors();
    try {
      await checkAccess(); // now, and not when somebody is typing
    } catch (error) {
      this.#page.report(error);
    }
  }

  onInput({ isComposing }) {
    if (!this.isOn || isComposing) return;
    const { value, selectionEnd } = element("text");
    if (!this.#typed.change(value, selectionEnd === value.length)) {
      tell("The change further up is not spoken. Stop and then Speak say the whole text.");
    }
    this.#say(this.#typed.clauses());
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => this.isOn && this.#say(this.#typed.words()), PAUSE_MS);
  }

  /** Speak what is left, or the whole text if none of it is being spoken. */
  speak() {
    this.#typed.change(element("text").value, true);
    const text = live() ? this.#typed.rest() : this.#typed.all();
    if (!live() && !WORD.test(text)) return this.#page.speak(); // which says what is wrong with it
    if (text) this.#write(text);
    if (!live()) return;
    stage.current.isFlushed = false;
    live().flush();
  }

  #say(text) {
    if (text && (live() || WORD.test(text))) this.#write(text);
  }

  #write(text) {
    // Other choices are for a new speech, when all of this one has been heard.
    if (live() && stage.current.choices !== choices() && stage.current.player?.isQuiet) silence();
    try {
      if (!live()) begin(this.#page.fail);
      const speech = stage.current;
      speech.isFlushed = false;
      speech.text += text;
      speech.transcript?.write(text);
      speech.live.write(text);
    } catch (error) {
      this.#page.fail(error);
    }
  }
}

/** Return the text that goes on, if there is one. */
function live() {
  return stage.current?.live;
}

function key() {
  return element("key").value.trim();
}

function choices() {
  return JSON.stringify({ ...readRequest(), text: "", words: element("highlight").checked });
}

/** Begin a speech, `{abort, player, transcript, interrupt}` of the stage and what it needs here. */
function begin(fail) {
  const typedAt = performance.now();
  silence();
  clearErrors();
  remember();
  const speech = { abort: new AbortController(), gapS: START_DELAY_S, text: "", choices: choices() };
  stage.current = speech;
  stage.last = null;
  element("words").replaceChildren();
  show("waiting", "Waiting for the first sound…");
  const { text: _, ...request } = readRequest();
  openContext(request.sample_rate); // a key that was pressed allows sound, as a click does
  const isTimed = element("highlight").checked;
  if (isTimed) {
    speech.transcript = new Transcript(element("words"), "", (startS) => {
      if (!speech.live) playFrom(speech, startS); // else nobody would know what was heard
    });
  }
  speech.interrupt = () => interrupt(speech);
  speech.onProgress = () => endIfHeard(speech);
  const listener = listenerOf(speech, request, typedAt, fail);
  const timed = isTimed ? { ...request, timestamps: "word" } : request;
  speech.live = new LiveText(timed, key(), listener, speech.abort.signal);
}

function listenerOf(speech, request, typedAt, fail) {
  let facts = null;
  return {
    onStarted(started) {
      facts = started;
      showFacts(facts);
      speech.player = makePlayer(facts, typedAt, speech);
    },
    onAudio(bytes, words) {
      speech.transcript?.add(words);
      speech.player.write(bytes);
      showReceived(speech);
    },
    onFlushed() {
      speech.isFlushed = true;
      endIfHeard(speech);
    },
    onDone() {
      speech.transcript?.finish();
      stage.last = { request: { ...request, text: speech.text }, facts, speech };
      speech.player.finish();
    },
    async onError(error) {
      if (speech !== stage.current) return;
      const reason = error.code === "refused" ? await reasonOf(error) : error;
      if (speech === stage.current) fail(reason);
    },
  };
}

/** End a text when all of it was heard. Until then it can go on, and be interrupted. */
function endIfHeard(speech) {
  if (!speech.isFlushed || !speech.player?.isQuiet || !speech.live) return;
  speech.live.end();
  speech.live = speech.interrupt = null;
}

/** Stop, and show what was heard of the text. */
async function interrupt(speech) {
  const playedMs = Math.round(1000 * (speech.player?.heardS ?? 0));
  speech.player?.stop();
  stage.current = null;
  show("stopped", "Stopped.");
  const outcome = await speech.live.interrupt(playedMs);
  if (!outcome || stage.current) return;
  showHeard(element("words"), outcome);
  const unheard = outcome.unheard.trim();
  const shown = unheard.length > TOLD_CHARS ? `${unheard.slice(0, TOLD_CHARS)}…` : unheard;
  tell(unheard ? `Stopped. Not heard: “${shown}”` : "Stopped. All was heard.");
}

async function checkAccess() {
  api.useKey(key());
  await api.checkAccess();
}

/** Return why a connection was refused, which a browser does not tell. */
async function reasonOf(refusal) {
  try {
    await checkAccess();
    return refusal;
  } catch (error) {
    return error;
  }
}
