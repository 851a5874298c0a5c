// Reads and fills the form, shows its errors, and remembers its choices. Knows no server.

const FIELDS = ["text", "model", "speaker", "language", "instruct", "speed", "seed", "sample_rate", "format", "key"];
const PRIVATE = ["text", "key"];
const REMEMBERED = FIELDS.filter((name) => !PRIVATE.includes(name));
const IDS = Object.fromEntries(FIELDS.map((name) => [name, name]));
const STORE = "vivavoce.choices";

const input = (name) => document.getElementById(name);

/** Return the request of the form, without fields that are left to the server. */
export function readRequest() {
  const value = (name) => input(name).value;
  const number = (name) => (value(name) === "" ? undefined : Number(value(name)));
  return {
    text: value("text"),
    model: value("model"),
    speaker: value("speaker") || undefined,
    language: value("language"),
    instruct: value("instruct").trim() || undefined,
    speed: number("speed"),
    seed: number("seed"),
    sample_rate: number("sample_rate"),
  };
}

/** Give the fields the limits and formats that the server describes, in JSON Schema. */
export function describe(fields) {
  for (const [id, name] of [["speed", "speed"], ["speed-slider", "speed"], ["seed", "seed"]]) {
    const { minimum, maximum } = fields[name].anyOf[0];
    Object.assign(input(id), { min: minimum, max: maximum });
  }
  const formats = fields.format.anyOf[0].enum.filter(Boolean);
  fillSelect("format", formats.map((value) => ({ value, label: value.toUpperCase() })), remembered().format);
}

/** Fill a select with `{value, label, group?}`. The selection is kept if it is still offered. */
export function fillSelect(name, choices, chosen = input(name).value) {
  const groups = new Map();
  const select = input(name);
  select.replaceChildren();
  for (const { value, label, group } of choices) {
    if (group && !groups.has(group)) {
      groups.set(group, Object.assign(document.createElement("optgroup"), { label: group }));
      select.append(groups.get(group));
    }
    (groups.get(group) ?? select).append(new Option(label, value));
  }
  select.value = choices.some(({ value }) => value === chosen) ? chosen : choices[0].value;
}

/** Show an error beside the field that it names, or at `rest`. `ids` are the fields' by name. */
export function showError(error, ids = IDS, rest = "general") {
  const named = ids[error.field];
  input(`${named ?? rest}-error`).textContent = sentence(error.message);
  if (!named) return;
  const field = input(named);
  field.setAttribute("aria-invalid", "true");
  const folded = field.closest("details");
  if (folded) folded.open = true;
  field.focus();
}

/** Remove the errors of the fields with these ids, or of all of the speech. */
export function clearErrors(names = [...FIELDS, "general"]) {
  for (const name of names) {
    input(`${name}-error`).textContent = "";
    input(name)?.removeAttribute("aria-invalid");
  }
}

/** Store the choices for the next visit. */
export function remember() {
  const choices = Object.fromEntries(REMEMBERED.map((name) => [name, input(name).value]));
  try {
    localStorage.setItem(STORE, JSON.stringify(choices));
  } catch {
    // Storage is full or disabled: the page works without it.
  }
}

/** Return the choices of the last visit by field, or none if they cannot be read. */
export function remembered() {
  try {
    const choices = JSON.parse(localStorage.getItem(STORE)) ?? {};
    return Object.fromEntries(Object.entries(choices).filter(([name]) => REMEMBERED.includes(name)));
  } catch {
    return {};
  }
}

/** Restore the choices of fields whose options do not come from the server. */
export function restore(choices) {
  for (const name of ["instruct", "speed", "seed", "sample_rate", "format"]) {
    const field = input(name);
    if (typeof choices[name] !== "string") continue;
    const before = field.value;
    field.value = choices[name];
    if (field.tagName === "SELECT" && field.selectedIndex < 0) field.value = before;
  }
  input("speed-slider").value = input("speed").value;
}

function sentence(message) {
  const text = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}
