// The part "Your voices": the list of saved voices, and the forms for new ones.

import { showError } from "../form.js";
import { element } from "../stage.js";
import { attempt, chosenFile, isExpected, tell, value, whileStop } from "./attempt.js";
import { CLONE_FIELDS, cloneBody, forgetRecording, offerLanguages, requireConsent, startClone } from "./clone.js";
import { DESIGN_FIELDS, designBody, forgetPreviews, offerPreviewLanguages, startDesign } from "./design.js";
import { askName, buttonOf, showItemError, showVoices } from "./list.js";
import * as server from "./server.js";
import { speak } from "./trial.js";

const MIX_FIELDS = { name: "mix-name", speaker: "mix-formula", formula: "mix-formula" };
const IMPORT_FIELDS = { name: "import-name", file: "import-file" };

let sentences = {};
let onChange; // called when there are other voices to choose

export function startVoices(listener) {
  onChange = listener;
  startClone();
  startDesign();
  element("voices").addEventListener("toggle", showIfOpen);
  element("key").addEventListener("change", showIfOpen);
  onSubmit("clone", CLONE_FIELDS, async () => {
    const voice = await server.create(await cloneBody());
    forgetRecording();
    return voice;
  });
  onSubmit("mix", MIX_FIELDS, async () => {
    const voice = await server.create({ name: value("mix-name"), formula: value("mix-formula") });
    element("mix-name").value = "";
    return voice;
  });
  onSubmit("design", DESIGN_FIELDS, async () => {
    const voice = await server.create(designBody());
    forgetPreviews();
    return voice;
  });
  onSubmit("import", IMPORT_FIELDS, async () => {
    const voice = await server.imported(chosenFile("import-file", "file"), value("import-name"));
    element("import").reset();
    return voice;
  });
  onTry("clone", CLONE_FIELDS, async () => {
    const { ref_audio, ref_text } = await cloneBody();
    await speakTrial(value("clone-language"), { ref_audio, ref_text }, "clone");
  });
  onTry("mix", MIX_FIELDS, () => speakTrial("en", { speaker: value("mix-formula") }, "mix"));
}

// -- the list --

function showIfOpen() {
  if (element("voices").open) refresh();
}

function refresh() {
  return attempt("voices", {}, async () => {
    await loadSentences();
    const { voices, requires_consent, missing } = await server.list();
    requireConsent(requires_consent);
    for (const way of ["clone", "mix"]) showMissing(way, "You can save the voice, but not yet speak with it", missing[way]);
    showMissing("design", "No voice can be designed here yet", missing.design);
    element("design").hidden = "design" in missing;
    showVoices(element("saved"), voices, actionsOf);
    tell("voices", voices.length === 0 ? "You have no voices yet." : "");
  });
}

/** Say what the server lacks for a way to make a voice, if it lacks anything: `how` it gets it. */
function showMissing(way, consequence, how) {
  element(`${way}-missing`).hidden = !how;
  element(`${way}-missing`).textContent = how ? `${consequence}: ${how}` : "";
  if (element(`${way}-try`)) element(`${way}-try`).hidden = Boolean(how);
}

function actionsOf(voice) {
  const actions = {
    Try: (button) => onVoice(voice, () => whileStop(button, () => speakTrial(voice.languages[0], { speaker: voice.id }, "voices"))),
    Rename: () => rename(voice),
    Export: () => onVoice(voice, async () => download(await server.exported(voice), `${voice.name}.vvoice`)),
    Revoke: () => onVoice(voice, async () => {
      if (!confirm(`End the consent to ${voice.name}? Its recording is erased for good.`)) return;
      await server.revoked(voice);
      await changed("voices", `The consent to ${voice.name} has ended.`);
    }),
    Delete: () => onVoice(voice, async () => {
      if (!confirm(`Delete ${voice.name} with its record?`)) return;
      await server.removed(voice);
      await changed("voices", `Deleted ${voice.name}.`);
    }),
  };
  const hidden = [...(voice.ended ? ["Try", "Export"] : []), ...(voice.ended || voice.kind !== "cloned" ? ["Revoke"] : [])];
  return Object.fromEntries(Object.entries(actions).filter(([name]) => !hidden.includes(name)));
}

function rename(voice) {
  const list = element("saved");
  const close = async () => {
    await refresh();
    buttonOf(list, voice, "Rename")?.focus();
  };
  askName(list, voice, {
    cancel: close,
    rename: (name) => onVoice(voice, async () => {
      await server.renamed(voice, name);
      await changed("voices", `${voice.name} is now ${name}.`);
      buttonOf(list, voice, "Rename")?.focus();
    }),
  });
}

/** Run an action on a voice, whose error is shown below the voice. */
async function onVoice(voice, action) {
  await attempt("voices", {}, async () => {
    showItemError(voice, "");
    try {
      await action();
    } catch (error) {
      if (!isExpected(error) || error.field === "key") throw error;
      tell("voices", "");
      showItemError(voice, error.message);
    }
  });
}

// -- new voices --

function onSubmit(form, fields, save) {
  element(form).addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(form, fields, async () => {
      tell(form, "Saving…");
      const { name, warnings } = await save();
      await changed(form, [`Saved ${name}.`, ...warnings.map((one) => `The recording is ${one}.`)].join(" "));
    });
  });
}

function onTry(form, fields, action) {
  element(`${form}-try`).addEventListener("click", ({ currentTarget }) => {
    attempt(form, fields, () => whileStop(currentTarget, action));
  });
}

async function changed(place, words) {
  await refresh();
  tell(place, words);
  if (document.activeElement === document.body) element("voices").querySelector("summary").focus(); // its button is gone
  await onChange();
}

/** Speak a short sentence in `language`, or in English. `voice` has the fields of a request that name it. */
async function speakTrial(language, voice, place) {
  await loadSentences();
  const code = language in sentences ? language : "en";
  await speak({ text: sentences[code].try, language: code, ...voice }, (words) => tell(place, words));
}

async function loadSentences() {
  if (Object.keys(sentences).length > 0) return;
  sentences = await server.sentences();
  offerLanguages(sentences);
  offerPreviewLanguages(sentences);
}

function download(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser reads it some time after the click
}
