// Formats numbers, codes and states as text. All functions are pure.

const languageNames = new Intl.DisplayNames(["en"], { type: "language" });
const IGNORED = { instruct: "the instruction", seed: "the seed" };

export const capitalised = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** "en" → "English". */
export function languageName(code) {
  try {
    return languageNames.of(code);
  } catch {
    return code; // the browser does not know the code
  }
}

export function seconds(s) {
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 60) return `${s.toFixed(2)} s`;
  return `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`;
}

/** 0.02 → "0.020 (50 × real time)". */
export function realTimeFactor(factor) {
  const times = 1 / factor;
  return `${factor.toFixed(factor < 0.1 ? 3 : 2)} (${times.toFixed(times < 10 ? 1 : 0)} × real time)`;
}

export function ignoredSentence({ model, ignored }) {
  if (ignored.length === 0) return "";
  const what = listed(ignored.map((name) => IGNORED[name] ?? name));
  return `${capitalised(model)} cannot follow ${what}, so ${ignored.length > 1 ? "they were" : "it was"} left out.`;
}

/** Return a sentence about the server, from `/health` and the states of the models. */
export function serverSentence(health, models) {
  const named = (state) => models.filter((card) => card.state === state).map((card) => card.id);
  const parts = [];
  if (named("loading").length > 0) parts.push(`${listed(named("loading"))} still loading, speech may have to wait.`);
  if (named("ready").length > 0) parts.push(`${listed(named("ready"))} ready.`);
  if (named("unloaded").length > 0) parts.push(`${listed(named("unloaded"))} loaded on first use.`);
  for (const { id, state, detail } of models) {
    if (state === "missing") parts.push(`${id} not installed: ${detail}`);
    if (state === "failed") parts.push(`${id} failed: ${detail}`);
  }
  return `vivavoce ${health.version}: ${parts.join(" ")}`;
}

function listed(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}
