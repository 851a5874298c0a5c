// Calls the server over HTTP. Knows its paths, its JSON and its errors, and nothing of the page.
// Paths are relative, so that the page also works behind a proxy with a path prefix.

import { bytesOf, events } from "./events.js";

/** An error of the server, or a missing answer. `field` is the field to change, if any. */
export class ApiError extends Error {
  constructor(message, { code = "unreachable", field = null, requestId = null } = {}) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.field = field;
    this.requestId = requestId;
  }
}

/** Return the error of a body that could not be read to its end. */
export function brokenOff(error) {
  if (error.name === "AbortError" || error instanceof ApiError) return error;
  return new ApiError("The server broke off in the middle of the speech; its log says why. Try again.");
}

const KEY_CODES = new Set(["invalid_api_key", "missing_scope"]);
let authorization = {}; // the header with the key, if one is set

/** Send `key` with every request from now on. An empty key removes it. */
export function useKey(key) {
  authorization = key ? { Authorization: `Bearer ${key}` } : {};
}

export const health = () => getJson("health");

/** Return the JSON Schema of each field of a request. */
export async function fields() {
  return (await getJson("openapi.json")).components.schemas.SynthesizeBody.properties;
}

/** Return all models with their states, without aliases. */
export async function models() {
  const { data } = await getJson("v1/models");
  return data.filter((card) => card.state !== "alias");
}

/**
 * Return the voices of `model`, or of all models for "auto", without aliases.
 * Waits while the model is being loaded.
 */
export async function voices(model, signal) {
  const { voices } = await getJson(`v1/audio/voices?model=${encodeURIComponent(model)}`, signal);
  return voices.filter((voice) => !voice.alias_of);
}

/** Return the English names of the languages of `model`, "auto" first. */
export async function languages(model, signal) {
  return (await getJson(`v1/tts/languages?model=${encodeURIComponent(model)}`, signal)).languages;
}

/** Return what a request would say: segments with their words, and what cannot be said. */
export async function explain(request, signal) {
  return (await post("v1/tts/explain", request, signal)).json();
}

/** Tell whether `model`, or every model for "auto", knows itself when it says what. */
export async function isTimed(model, signal) {
  const query = model === "auto" ? "" : `?model=${encodeURIComponent(model)}`;
  const { models } = await getJson(`v1/tts/models${query}`, signal);
  return models.every(({ capabilities }) => capabilities.timed);
}

/** Throw what keeps this page from having speech, such as a missing key. */
export async function checkAccess() {
  await getJson("v1/tts/models");
}

/** Request speech. Return the response with the audio, and the facts from its headers. */
export async function synthesize(request, signal) {
  const response = await post("v1/tts/synthesize", request, signal);
  return { response, facts: factsOf(response.headers) };
}

/** Yield audio and words of a response with events: `{bytes, words}`. */
export async function* timedChunks(response) {
  for await (const { type, audio, words, error } of events(response.body)) {
    if (type === "error") throw new ApiError(error.message, { code: error.code, field: error.field });
    if (type === "speech.audio.delta") yield { bytes: bytesOf(audio), words };
  }
}

/** Return a name without the percent-encoding of headers. */
function named(value) {
  try {
    return decodeURIComponent(value ?? "");
  } catch {
    return value;
  }
}

function factsOf(headers) {
  return {
    model: named(headers.get("X-Model")),
    voice: named(headers.get("X-Voice")),
    language: named(headers.get("X-Language")),
    rateHz: Number(headers.get("X-Sample-Rate")),
    isMarked: headers.has("X-Synthetic"),
    ignored: (headers.get("X-Ignored") ?? "").split(/,\s*/).filter(Boolean),
  };
}

function post(path, request, signal) {
  return send("POST", path, request, { accept: request.timestamps && request.stream ? "text/event-stream" : "*/*", signal });
}

/** Send JSON, and return the response if it is no error. */
export function send(method, path, body, { accept = "*/*", signal } = {}) {
  const headers = { "Content-Type": "application/json", Accept: accept };
  return call(path, { method, headers, body: JSON.stringify(body), signal });
}

export async function getJson(path, signal) {
  return (await call(path, { signal })).json();
}

/** Return the response with the key sent, or throw an `ApiError`. */
export async function call(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...options?.headers, ...authorization } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer; check that it runs and that this device can reach it.");
  }
  if (!response.ok) throw await errorOf(response);
  return response;
}

async function errorOf(response) {
  const requestId = response.headers.get("X-Request-Id");
  try {
    const { error } = await response.json();
    // The native API sends `field`, the OpenAI API `param`. A key is neither, but a header.
    const field = KEY_CODES.has(error.code) ? "key" : (error.field ?? error.param ?? null);
    return new ApiError(error.message, { code: error.code, field, requestId });
  } catch {
    // Not our JSON: a proxy between the page and the server has answered.
    return new ApiError(`The server answered ${response.status} ${response.statusText}.`, { code: "http", requestId });
  }
}
