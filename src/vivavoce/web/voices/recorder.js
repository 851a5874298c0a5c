// Records the microphone, and tells how loud it is. Knows nothing of the page.

const MAX_S = 29; // the server takes 30
const LEVEL_EVERY_MS = 50;
const SILENCE_DB = -60;
// A browser's cure for echo and noise takes away some of the voice.
const SOUND = { channelCount: 1, echoCancellation: false, noiseSuppression: false };
const TOLD = {
  NotAllowedError: "The browser keeps the microphone from this page; allow it in the page’s settings, or upload a file.",
  NotFoundError: "The browser finds no microphone; connect one, or upload a file.",
  NotReadableError: "The microphone is in use elsewhere; close what uses it, or upload a file.",
};

/** The microphone cannot be used. */
export class MicrophoneError extends Error {
  field = "microphone";
}

/** True if the browser lets this page record: only over https, or on this machine. */
export const canRecord = () => Boolean(navigator.mediaDevices?.getUserMedia && window.MediaRecorder);

/**
 * Return a recording, a Blob, when `stop` is aborted or it is as long as the server takes.
 * Calls `onLevel(level, seconds)`, with the level from 0 (silent) to 1 (clipped). Throws `MicrophoneError`.
 */
export async function record(onLevel, stop) {
  const context = new AudioContext(); // in the click handler, or some browsers keep it silent
  let stream;
  try {
    stream = await openMicrophone();
    const analyser = new AnalyserNode(context, { fftSize: 4096 });
    new MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(analyser);
    return await recordingOf(stream, stop, (seconds) => onLevel(levelOf(analyser), seconds));
  } finally {
    for (const track of stream?.getTracks() ?? []) track.stop();
    context.close();
  }
}

async function recordingOf(stream, stop, onTick) {
  const recorder = new MediaRecorder(stream, { audioBitsPerSecond: 128_000 });
  const parts = [];
  recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
  const ended = new Promise((resolve) => recorder.addEventListener("stop", resolve, { once: true }));
  const end = () => recorder.state === "recording" && recorder.stop();
  recorder.start();
  const begunAt = performance.now();
  const timer = setInterval(() => {
    const seconds = (performance.now() - begunAt) / 1000;
    onTick(seconds);
    if (seconds > MAX_S) end();
  }, LEVEL_EVERY_MS);
  stop.addEventListener("abort", end);
  if (stop.aborted) end();
  await ended;
  clearInterval(timer);
  return new Blob(parts, { type: recorder.mimeType });
}

async function openMicrophone() {
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: SOUND });
  } catch (error) {
    throw new MicrophoneError(TOLD[error.name] ?? `The browser cannot record: ${error.message}.`);
  }
}

function levelOf(analyser) {
  const samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(samples);
  const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  const db = 20 * Math.log10(Math.max(peak, 1e-6));
  return Math.min(1, Math.max(0, 1 - db / SILENCE_DB));
}
