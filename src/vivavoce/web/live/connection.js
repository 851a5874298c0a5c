// Speaks one text while it is written, over a WebSocket. Knows the messages, and nothing of the page.

import { ApiError } from "../api.js";

const PROTOCOL = "vivavoce";
const CONTEXT = "1"; // the name of the text: there is one on each connection

/**
 * A text that is being written.
 * It calls `onStarted(facts)`, `onAudio(bytes, words)`, `onFlushed()`, `onDone()` and
 * `onError(error)`. The last two end it. An error of the code "refused" came before any message.
 */
export class LiveText {
  #socket;
  #listener;
  #unsent = []; // messages, until the server is ready
  #isReady = false;
  #isOver = false;
  #words = []; // those of the bytes that come next
  #tellHeard = null; // resolves the promise of `interrupt`

  /** Connect and begin. `request` has the fields of the HTTP API, without the text. */
  constructor(request, key, listener, signal) {
    this.#listener = listener;
    const url = new URL("v1/tts/stream", document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    try {
      this.#socket = new WebSocket(url, key ? [PROTOCOL, `api-key.${key}`] : [PROTOCOL]);
    } catch {
      throw new ApiError("The API key has characters that no key has; check it.", { field: "key" });
    }
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onmessage = ({ data }) => this.#receive(data);
    this.#socket.onclose = ({ reason }) => this.#closed(reason);
    signal.addEventListener("abort", () => this.#end());
    this.#send({ type: "begin", context: CONTEXT, ...request });
  }

  write(text) {
    this.#send({ type: "text", context: CONTEXT, text });
  }

  /** Speak all of the text so far, also a word that may go on. `onFlushed` follows. */
  flush() {
    this.#send({ type: "flush", context: CONTEXT });
  }

  /** Tell that the text is complete. `onDone` follows. */
  end() {
    this.#send({ type: "end", context: CONTEXT });
  }

  /** Stop after `playedMs` of the audio. Return `{heard, unheard}`, or null if nobody knows. */
  interrupt(playedMs) {
    const heard = new Promise((resolve) => (this.#tellHeard = resolve));
    this.#send({ type: "interrupt", played_ms: playedMs });
    return heard;
  }

  #send(message) {
    if (!this.#isReady) this.#unsent.push(message);
    else if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #receive(data) {
    if (this.#isOver) return;
    if (data instanceof ArrayBuffer) {
      if (!this.#tellHeard) this.#listener.onAudio(new Uint8Array(data), this.#words);
      return;
    }
    const message = JSON.parse(data);
    switch (message.type) {
      case "ready":
        this.#isReady = true;
        this.#unsent.splice(0).forEach((unsent) => this.#send(unsent));
        break;
      case "started": {
        const { model, voice, language, sample_rate: rateHz, ignored } = message;
        this.#listener.onStarted({ model, voice, language, rateHz, ignored });
        break;
      }
      case "audio":
        this.#words = message.words ?? [];
        break;
      case "flushed":
        this.#listener.onFlushed();
        break;
      case "done":
        if (this.#tellHeard) break; // all was sent before it was interrupted
        this.#end();
        this.#listener.onDone();
        break;
      case "interrupted":
        this.#tellHeard?.(message.contexts[0] ?? null);
        this.#end();
        break;
      case "error":
        this.#fail(new ApiError(message.message, { code: message.code, field: message.field }));
    }
  }

  #closed(reason) {
    if (!this.#isReady) {
      const message =
        "The server did not accept a live connection: too many may be open, or a proxy does not forward WebSockets.";
      return this.#fail(new ApiError(message, { code: "refused" }));
    }
    const why = reason ? `: ${reason}` : "; its log says why";
    this.#fail(new ApiError(`The server broke off in the middle of the speech${why}. Try again.`));
  }

  #fail(error) {
    if (this.#isOver) return;
    const wasInterrupted = this.#tellHeard !== null;
    this.#end();
    if (!wasInterrupted) this.#listener.onError(error);
  }

  #end() {
    this.#isOver = true;
    this.#tellHeard?.(null);
    this.#socket.close();
  }
}
