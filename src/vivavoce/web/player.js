// Plays 16-bit mono PCM while it arrives, without gaps. Knows neither requests nor the page.
// Buffers are scheduled one after the other on the audio clock. An AudioWorklet would need a
// secure context, which a headset that opens http://192.168.… does not have.

export const START_DELAY_S = 0.1; // delay of the first sample, so that the next chunk arrives in time
const REBUFFER_S = 0.5; // delay after the server was too slow: few long gaps are better than many
const PIECE_S = 0.2; // length of one scheduled buffer, and of a step of the progress
const AHEAD_S = 10; // at most this much is scheduled; the rest is kept as 16-bit samples
const AUDIBLE = 0.001; // -60 dBFS
const DEFAULT_RATE_HZ = 24000;

let context = null;

/**
 * Return the audio context of this rate. Call it in the handler of a click or a key, since browsers
 * block sound elsewhere.
 * It runs at the rate of the audio: resampling each buffer alone would be audible between them.
 */
export function openContext(rateHz = DEFAULT_RATE_HZ) {
  if (context?.sampleRate !== rateHz) {
    context?.close();
    context = new AudioContext({ sampleRate: rateHz });
  }
  // Not awaited: scheduling does not need it. It never settles without a sound device, and fails
  // when the context is closed for one of another rate.
  context.resume().catch(() => {});
  return context;
}

/**
 * Playback of one speech.
 * It calls `onProgress(playedS)`, `onFirstSound(when)` (a `performance.now()`) and `onEnd()`.
 */
export class Player {
  #context;
  #rateHz;
  #listener;
  #output;
  #carry = new Uint8Array(0); // the first byte of an incomplete sample
  #chunks = [];
  #pieces = []; // Int16Arrays that are not scheduled yet
  #sources = new Map(); // scheduled sources → {when, fromS}: on the audio clock, and in the speech
  #next = 0; // start of the next piece on the audio clock; 0 before the first one
  #samples = 0;
  #playedS = 0;
  #scheduledS = 0; // of the speech
  #heard = false;
  #finished = false;
  #stopped = false;
  #gapS;

  /** A silence in the stream takes at least `gapS`. */
  constructor(rateHz, { onProgress, onFirstSound, onEnd }, gapS = REBUFFER_S) {
    this.#gapS = gapS;
    this.#context = openContext(rateHz);
    this.#rateHz = rateHz;
    this.#listener = { onProgress, onFirstSound, onEnd };
    this.#output = this.#context.createGain();
    this.#output.connect(this.#context.destination);
  }

  /** Seconds of audio received. */
  get receivedS() {
    return this.#samples / this.#rateHz;
  }

  /** True if all audio so far has been played. */
  get isQuiet() {
    return this.#pieces.length === 0 && this.#sources.size === 0;
  }

  /** Seconds of the speech that have been heard. */
  get heardS() {
    const now = this.#context.currentTime - (this.#context.outputLatency || 0);
    let heardS = this.#playedS;
    for (const { when, fromS } of this.#sources.values()) {
      if (when <= now) heardS = Math.max(heardS, fromS + now - when);
    }
    return Math.min(heardS, this.receivedS);
  }

  /** All whole samples received, as Uint8Arrays, in order. */
  get chunks() {
    return this.#chunks;
  }

  /** Add the next bytes of the stream, cut anywhere. */
  write(bytes) {
    if (this.#stopped) return;
    const joined = new Uint8Array(this.#carry.length + bytes.length);
    joined.set(this.#carry);
    joined.set(bytes, this.#carry.length);
    const even = joined.length - (joined.length % 2);
    this.#carry = joined.slice(even);
    if (even === 0) return;
    this.#chunks.push(joined.subarray(0, even));
    const samples = new Int16Array(joined.buffer, 0, even / 2); // browsers run on little-endian machines
    this.#samples += samples.length;
    this.#cut(samples);
    this.#schedule();
  }

  /** Mark the end of the stream. `onEnd` follows when all has been played. */
  finish() {
    this.#finished = true;
    this.#endIfPlayed();
  }

  /** Play from `seconds` of the speech on, also after its end. */
  seek(seconds) {
    this.stop();
    this.#stopped = false;
    this.#output.connect(this.#context.destination);
    let skipped = Math.round(seconds * this.#rateHz);
    for (const chunk of this.#chunks) {
      const samples = new Int16Array(chunk.buffer, chunk.byteOffset, chunk.byteLength / 2);
      if (skipped < samples.length) this.#cut(samples.subarray(skipped));
      skipped = Math.max(0, skipped - samples.length);
    }
    this.#next = 0;
    this.#playedS = this.#scheduledS = seconds;
    this.#schedule();
    this.#endIfPlayed();
  }

  /** Stop the sound and all callbacks. */
  stop() {
    this.#stopped = true;
    this.#pieces = [];
    this.#output.disconnect();
    for (const source of this.#sources.keys()) source.stop();
    this.#sources.clear();
  }

  #cut(samples) {
    const size = Math.round(PIECE_S * this.#rateHz);
    for (let at = 0; at < samples.length; at += size) this.#pieces.push(samples.subarray(at, at + size));
  }

  #schedule() {
    const until = this.#context.currentTime + AHEAD_S;
    while (this.#pieces.length > 0 && this.#next < until) this.#play(this.#pieces.shift());
  }

  #play(piece) {
    const now = this.#context.currentTime;
    if (this.#next <= now) this.#next = now + (this.#next === 0 ? START_DELAY_S : this.#gapS);
    const buffer = this.#context.createBuffer(1, piece.length, this.#rateHz);
    const channel = buffer.getChannelData(0);
    for (let i = 0; i < piece.length; i++) channel[i] = piece[i] / 32768;
    if (!this.#heard) this.#listenFor(channel, this.#next - now);
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#output);
    source.addEventListener("ended", () => this.#ended(source));
    source.start(this.#next);
    this.#sources.set(source, { when: this.#next, fromS: this.#scheduledS });
    this.#next += buffer.duration;
    this.#scheduledS += buffer.duration;
  }

  #listenFor(channel, startsInS) {
    const audible = channel.findIndex((sample) => Math.abs(sample) > AUDIBLE);
    if (audible < 0) return;
    this.#heard = true;
    this.#listener.onFirstSound(performance.now() + 1000 * (startsInS + audible / this.#rateHz));
  }

  #ended(source) {
    if (this.#stopped || !this.#sources.delete(source)) return; // of before a jump
    this.#playedS += source.buffer.duration;
    this.#listener.onProgress(this.#playedS);
    this.#schedule();
    this.#endIfPlayed();
  }

  #endIfPlayed() {
    if (!this.#finished || this.#stopped || this.#sources.size > 0) return;
    this.#stopped = true;
    this.#output.disconnect();
    this.#listener.onEnd();
  }
}
