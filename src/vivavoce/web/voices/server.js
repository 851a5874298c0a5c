// Calls the server about saved voices. Knows its paths and JSON, and nothing of the page.

import { call, getJson, send } from "../api.js";

const PATH = "v1/tts/voices";
const pathOf = ({ id }) => `${PATH}/${encodeURIComponent(id)}`;

/** Return by language: its name, a sentence to read, and one to try a voice with. */
export const sentences = () => getJson("web/voices/sentences.json");

/** Return `{voices, requires_consent, missing}`. */
export const list = () => getJson(PATH);

/** Return `{duration_s, warnings}` of a recording: what would make a better one. */
export const checked = async (recording) => json(send("POST", `${PATH}/check`, { ref_audio: await dataUrl(recording) }));

/** Return `{previews, text}` of a voice that is described: `{description, language}`. */
export const designed = (body) => json(send("POST", `${PATH}/design`, body));

/** Save a voice and return it: a name with a formula, a preview, or a recording, its words and consent. */
export const create = (body) => json(send("POST", PATH, body));

/** Save the voice in a file of `exported`, under its own name if `name` is empty. */
export async function imported(file, name) {
  const base64 = (await dataUrl(file)).split(",")[1] ?? "";
  return json(send("POST", `${PATH}/import`, { file: base64, name: name || undefined }));
}

/** Change the name, description, labels or words of a voice, and return it. */
export const changed = (voice, facts) => json(send("PATCH", pathOf(voice), facts));

/** Replace the record of consent to a voice, and return the voice. */
export const renewed = (voice, consent) => json(send("PUT", `${pathOf(voice)}/consent`, consent));

export const revoked = (voice) => json(call(`${pathOf(voice)}/revoke`, { method: "POST" }));
export const removed = (voice) => json(call(pathOf(voice), { method: "DELETE" }));
export const exported = async (voice) => (await call(`${pathOf(voice)}/export`)).blob();

/** Return a file as a `data:` URL, which the server takes as a recording. */
export function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.addEventListener("error", () => reject(reader.error));
    reader.readAsDataURL(file);
  });
}

async function json(answer) {
  return (await answer).json();
}
