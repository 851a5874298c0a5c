// Shows the plan of a job: its chapters, its times, and what is left out.

import { counted, duration } from "./words.js";

const element = (id) => document.getElementById(id);

/** Show a plan in its place on the page. */
export function showPlan(plan) {
  element("plan-title").textContent = plan.title;
  const facts = {
    Chapters: plan.chapters.length.toLocaleString("en"),
    Characters: plan.characters.toLocaleString("en"),
    Length: duration(plan.audio_s),
    "Time to make": plan.make_s === null ? "not known yet" : duration(plan.make_s),
    Voices: plan.voices.join(", "),
  };
  element("plan-facts").replaceChildren(...Object.entries(facts).map(fact));
  element("plan-chapters").replaceChildren(
    ...plan.chapters.map(({ title, audio_s }) => item(title || "Without a title", ` ${duration(audio_s)}`)),
  );
  element("plan-skipped").replaceChildren(
    ...plan.skipped.map(({ reason, blocks, characters }) =>
      item(`Not spoken: ${reason}`, ` ${counted(blocks, "piece")}, ${counted(characters, "character")}`)),
  );
  element("plan").hidden = false;
}

function fact([name, value]) {
  const pair = document.createElement("div");
  pair.append(
    Object.assign(document.createElement("dt"), { textContent: name }),
    Object.assign(document.createElement("dd"), { textContent: value }),
  );
  return pair;
}

function item(text, hint) {
  const line = document.createElement("li");
  line.append(text, Object.assign(document.createElement("span"), { className: "hint", textContent: hint }));
  return line;
}
