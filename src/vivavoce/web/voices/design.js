// The form for a voice that is described: previews of it, to listen to and to save one of.

import { bytesOf } from "../events.js";
import { fillSelect } from "../form.js";
import { element } from "../stage.js";
import { attempt, fieldError, tell, value, whileStop } from "./attempt.js";
import * as server from "./server.js";
import { listen } from "./trial.js";

// The fields of the form, by the name that an error of the server has for them.
export const DESIGN_FIELDS = {
  name: "design-name", description: "design-description", language: "design-language", preview: "design-make",
};

export function startDesign() {
  element("design-make").addEventListener("click", () => attempt("design", DESIGN_FIELDS, makePreviews));
}

/** Offer the languages of `sentences` for the previews. */
export function offerPreviewLanguages(sentences) {
  fillSelect("design-language", Object.entries(sentences).map(([value, { name }]) => ({ value, label: name })), "en");
}

/** Return the body that saves the chosen preview. */
export function designBody() {
  const chosen = document.querySelector("#previews input:checked");
  if (!chosen) throw fieldError("Make previews, listen to them, and choose one.", "preview");
  return { name: value("design-name"), preview: chosen.value };
}

export function forgetPreviews() {
  element("previews").hidden = true;
  element("preview-list").replaceChildren();
  element("design-name").value = "";
}

async function makePreviews() {
  const button = element("design-make");
  button.disabled = true; // they take a while, and the server keeps the latest ones only
  tell("design", "Making previews, which may take a minute…");
  try {
    const { previews, text } = await server.designed({ description: value("design-description"), language: value("design-language") });
    element("preview-text").textContent = text;
    element("preview-list").replaceChildren(...previews.map(itemOf));
    element("previews").hidden = false;
    tell("design", `${previews.length} previews. Listen to them, and choose one.`);
  } finally {
    button.disabled = false;
  }
}

function itemOf({ id, audio, duration_s }, index) {
  const item = document.createElement("li");
  const label = Object.assign(document.createElement("label"), { className: "check" });
  const choice = Object.assign(document.createElement("input"), { type: "radio", name: "preview", value: id });
  label.append(choice, `Preview ${index + 1}, ${duration_s.toFixed(1)} s`);
  const button = Object.assign(document.createElement("button"), {
    type: "button", textContent: "Listen", ariaLabel: `Listen to preview ${index + 1}`,
  });
  const file = new Blob([bytesOf(audio)], { type: "audio/wav" });
  button.addEventListener("click", () => {
    choice.checked = true;
    attempt("design", DESIGN_FIELDS, () => whileStop(button, () => listen(file, (words) => tell("design", words))));
  });
  item.append(label, button);
  return item;
}
