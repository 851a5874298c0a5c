// Plays what a voice sounds like: a recording, or a sentence that the server speaks. It is the
// speech of the stage, so Escape, Stop and the next speech end it.

import { brokenOff, synthesize } from "../api.js";
import { Player, openContext } from "../player.js";
import { showButtons, silence, stage } from "../stage.js";

/** Speak a request, and call `tell` with how far it is. Resolves when it was heard or stopped. */
export async function speak(request, tell) {
  openContext(); // in the click handler, or the browser blocks sound
  await played(async (signal, end) => {
    tell("Waiting for the first sound…");
    const { response, facts } = await synthesize({ ...request, stream: true, format: "pcm" }, signal);
    const onFirstSound = () => tell(`Spoken by ${facts.model}…`);
    const player = new Player(facts.rateHz, { onFirstSound, onProgress() {}, onEnd: end });
    stage.current.player = player;
    try {
      const reader = response.body.getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) player.write(part.value);
    } catch (error) {
      throw brokenOff(error);
    }
    player.finish();
  }, tell);
}

/** Play a recording. Throws a `DOMException` if the browser cannot read it. */
export async function listen(recording, tell) {
  const context = openContext();
  await played(async (signal, end) => {
    const buffer = await context.decodeAudioData(await recording.arrayBuffer());
    if (signal.aborted) return;
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(context.destination);
    source.addEventListener("ended", end);
    source.start();
    stage.current.player = { stop: () => source.stop() };
    tell("Playing the recording…");
  }, tell);
}

/** Run `play(signal, end)` as the speech of the stage, and wait for `end` or for a stop. */
async function played(play, tell) {
  silence();
  const own = (stage.current = { abort: new AbortController(), player: null });
  stage.last = null;
  showButtons();
  try {
    await new Promise((resolve, reject) => {
      own.abort.signal.addEventListener("abort", resolve);
      play(own.abort.signal, resolve).catch((error) => (error.name === "AbortError" ? resolve() : reject(error)));
    });
    tell(own.abort.signal.aborted ? "Stopped." : "Finished.");
  } finally {
    own.player?.stop();
    if (stage.current === own) stage.current = null;
    showButtons();
  }
}
