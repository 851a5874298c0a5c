// Runs what a visitor asks of the voices, and shows how it went. Knows no single form.

import { ApiError, useKey } from "../api.js";
import { clearErrors, showError } from "../form.js";
import { element, silence } from "../stage.js";
import { MicrophoneError } from "./recorder.js";

/** Return the text of a field. */
export const value = (id) => element(id).value.trim();

/** Say something below the part or form `place`. */
export function tell(place, words) {
  element(`${place}-status`).textContent = words;
}

/** Return an error of the page itself, for a field of a form. */
export const fieldError = (message, field) => new ApiError(message, { code: "invalid_request", field });

/** Return the first file of a field. `field` is the name of the field in errors. */
export function chosenFile(id, field) {
  const [file] = element(id).files;
  if (!file) throw fieldError("Choose a file.", field);
  return file;
}

/**
 * Run `action` with the visitor's key, and show its error beside the field that it names, or at the
 * end of `place`. `fields` are the ids of the fields by the server's names.
 */
export async function attempt(place, fields, action) {
  const ids = { ...fields, key: "key" };
  clearErrors([...Object.values(ids), place]);
  try {
    useKey(value("key"));
    await action();
  } catch (error) {
    if (!isExpected(error)) throw error;
    tell(place, "");
    const field = error.field?.replace(/^consent\./, ""); // of a part of it
    showError({ field, message: readable(error.message) }, ids, place);
  }
}

/** Return a message that says of what it is, where the server names a field of the API. */
function readable(message) {
  return message.replace(/^ref_audio\b/, "The recording").replace(/^ref_text\b/, "What is said");
}

/** True for an error that a visitor can do something about. */
const isExpected = (error) => error instanceof ApiError || error instanceof MicrophoneError;

/** Run `action`, which sounds, while `button` says Stop and ends it. */
export async function whileStop(button, action) {
  if (button.dataset.sounds) return silence();
  const { textContent, ariaLabel } = button;
  button.dataset.sounds = "yes";
  Object.assign(button, { textContent: "Stop", ariaLabel: ariaLabel?.replace(textContent, "Stop") ?? null });
  try {
    return await action();
  } finally {
    delete button.dataset.sounds;
    Object.assign(button, { textContent, ariaLabel });
  }
}
