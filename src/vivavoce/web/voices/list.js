// Shows the saved voices, each with its buttons. Knows no server.

import { capitalised, languageName } from "../words.js";

const KINDS = { cloned: "recording", designed: "design", mixed: "mix" };

/** Show `voices` in `list`. `actions(voice)` names the buttons of one: `{Try: (button) => …}`. */
export function showVoices(list, voices, actions) {
  list.replaceChildren(...voices.map((voice) => itemOf(voice, actions(voice))));
}

/** Return the button of a voice, if it is shown. */
export function buttonOf(list, voice, name) {
  return list.querySelector(`[data-voice="${voice.id}"] [data-action="${name}"]`);
}

/** Put a field for another name in place of a voice's buttons. `rename(name)` may throw. */
export function askName(list, voice, { rename, cancel }) {
  const item = list.querySelector(`[data-voice="${voice.id}"]`);
  const form = made("form", { className: "actions", noValidate: true });
  const input = made("input", { type: "text", value: voice.name, autocomplete: "off", spellcheck: false });
  input.setAttribute("aria-label", `New name of ${voice.name}`);
  input.setAttribute("autocapitalize", "none");
  input.setAttribute("aria-describedby", errorId(voice));
  const save = made("button", { type: "submit", textContent: "Save name" });
  const leave = made("button", { type: "button", textContent: "Cancel" });
  leave.addEventListener("click", cancel);
  form.addEventListener("keydown", (event) => event.key === "Escape" && cancel());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    rename(input.value.trim());
  });
  form.append(input, save, leave);
  item.querySelector(".actions").replaceWith(form);
  input.select();
}

/** Show what went wrong with a voice. */
export function showItemError(voice, message) {
  document.getElementById(errorId(voice)).textContent = message;
}

const errorId = (voice) => `voice-${voice.id}-error`;

function itemOf(voice, actions) {
  const item = made("li", {}, { voice: voice.id });
  const name = made("strong", { textContent: voice.name });
  const facts = made("p", { className: "hint", textContent: sentenceOf(voice) });
  const buttons = made("div", { className: "actions" });
  for (const [label, action] of Object.entries(actions)) {
    const button = made("button", { type: "button", textContent: label, ariaLabel: `${label} ${voice.name}` }, { action: label });
    button.addEventListener("click", () => action(button));
    buttons.append(button);
  }
  const error = made("p", { className: "error", id: errorId(voice) });
  error.setAttribute("role", "alert");
  item.append(name, facts, buttons, error);
  return item;
}

/** "Recording, German. Anna Lind agrees until 2027-01-31." */
function sentenceOf({ kind, formula, languages, consent, ended, owner, shared, description }) {
  const facts = [capitalised([KINDS[kind], ...languages.map(languageName)].join(", "))];
  if (formula) facts.push(formula.replace(/[\d.]+(?=\))/g, (share) => Number(Number(share).toFixed(2))));
  if (description) facts.push(description);
  if (ended) facts.push(capitalised(ended));
  else if (consent) facts.push(`${consent.by} agrees${consent.expires ? ` until ${consent.expires}` : ""}`);
  else if (kind === "cloned") facts.push("No record of consent");
  if (owner && shared) facts.push(`Shared by ${owner}`);
  return facts.map((fact) => fact.replace(/\.$/, "")).join(" · ");
}

function made(tag, properties, data = {}) {
  const node = Object.assign(document.createElement(tag), properties);
  Object.assign(node.dataset, data);
  return node;
}
