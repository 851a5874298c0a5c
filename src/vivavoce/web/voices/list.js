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

/** Return the id of a voice's item, and of what goes wrong with it. */
export const placeOf = ({ id }) => `voice-${id}`;

/** Return the id of a field of a voice's form. */
export const fieldOf = (voice, name) => `${placeOf(voice)}-${name}`;

/**
 * Put a form in place of a voice's buttons. `fields` are `{name, label, value, type?, hint?}`, of an
 * input's type or "area". `save(values)` gets their texts by name.
 */
export function ask(list, voice, { title, fields, save, cancel }) {
  const form = made("form", { noValidate: true, ariaLabel: `${title} of ${voice.name}` });
  const actions = made("div", { className: "actions" });
  const leave = made("button", { type: "button", textContent: "Cancel" });
  actions.append(made("button", { type: "submit", textContent: `Save ${title.toLowerCase()}` }), leave);
  form.append(...fields.map((field) => fieldNode(voice, field)), actions);
  leave.addEventListener("click", cancel);
  form.addEventListener("keydown", (event) => event.key === "Escape" && cancel());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const texts = fields.map(({ name }) => [name, document.getElementById(fieldOf(voice, name)).value.trim()]);
    save(Object.fromEntries(texts));
  });
  list.querySelector(`[data-voice="${voice.id}"] .actions`).replaceWith(form);
  const first = form.elements[0];
  first.focus();
  first.select();
}

function fieldNode(voice, { name, label, value, type = "text", hint = "" }) {
  const id = fieldOf(voice, name);
  const input = type === "area" ? made("textarea", { id, value }) : made("input", { id, type, value, autocomplete: "off" });
  if (name === "name") Object.assign(input, { spellcheck: false, autocapitalize: "none" });
  input.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
  const field = made("div", { className: "field" });
  const hints = made("p", { className: "hint", id: `${id}-hint`, textContent: hint });
  field.append(made("label", { htmlFor: id, textContent: label }), input, hints, errorNode(id));
  return field;
}

function errorNode(id) {
  const error = made("p", { className: "error", id: `${id}-error` });
  error.setAttribute("role", "alert");
  return error;
}

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
  const status = made("p", { className: "hint", id: `${placeOf(voice)}-status` });
  status.setAttribute("role", "status");
  item.append(name, facts, buttons, status, errorNode(placeOf(voice)));
  return item;
}

/** "Recording, German · mood: calm · Anna Lind agrees until 2027-01-31" */
function sentenceOf(voice) {
  const { kind, formula, languages, description, labels } = voice;
  const facts = [capitalised([KINDS[kind], ...languages.map(languageName)].join(", "))];
  if (formula) facts.push(formula.replace(/[\d.]+(?=\))/g, (share) => Number(Number(share).toFixed(2))));
  if (description) facts.push(description);
  for (const [label, value] of Object.entries(labels)) facts.push(value ? `${label}: ${value}` : label);
  return [...facts, ...standing(voice)].map((fact) => fact.replace(/\.$/, "")).join(" · ");
}

/** Return who lets the voice be used, and what it lacks. */
function standing({ kind, words, consent, ended, owner, shared, changeable }) {
  const facts = [];
  if (ended) facts.push(capitalised(ended));
  else if (consent) facts.push(`${consent.by} agrees${consent.expires ? ` until ${consent.expires}` : ""}`);
  else if (kind === "cloned" && changeable) facts.push("No record of consent");
  if (kind === "cloned" && changeable && !ended && !words) facts.push("Without the words of its recording");
  if (owner && shared) facts.push(`Shared by ${owner}`);
  return facts;
}

function made(tag, properties, data = {}) {
  const node = Object.assign(document.createElement(tag), properties);
  Object.assign(node.dataset, data);
  return node;
}
