// Says times, states and plans in words. All functions are pure.

import { capitalised } from "../words.js";

const STATES = {
  queued: "Waits for its turn", running: "Being made", paused: "Paused", done: "Done",
  failed: "Failed", cancelled: "Cancelled",
};
const STAGES = { joining: "Joining the chapters", writing: "Writing the files" };

/** 4000 → "1 h 7 min". */
export function duration(s) {
  if (s < 60) return `${Math.max(Math.round(s), 1)} s`;
  const minutes = Math.round(s / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export const counted = (number, thing) => `${number.toLocaleString("en")} ${thing}${number === 1 ? "" : "s"}`;

/** Say where a job stands. `now` is its last event, if there was one. */
export function stateSentence(job, now) {
  const parts = [STAGES[now?.stage] ?? STATES[job.state]];
  if (job.state !== "done" && job.percent > 0) parts.push(`${Math.floor(job.percent)} %`);
  if (job.state === "running" && now) {
    if (now.chapter) parts.push(`chapter ${now.chapter} of ${now.chapters}`);
    if (now.real_time) parts.push(`${now.real_time.toFixed(now.real_time < 10 ? 1 : 0)} × real time`);
    if (now.left_s !== null) parts.push(`${duration(now.left_s)} left`);
  }
  if (job.state === "done") parts.push(duration(job.audio_s));
  if (job.sentences_failed) parts.push(`${counted(job.sentences_failed, "sentence")} failed`);
  const problem = job.problem ? ` ${capitalised(job.problem)}.` : "";
  return `${parts.join(" · ")}.${problem}`;
}

/** The actions that a state allows. */
export const ACTIONS = {
  queued: ["pause", "cancel"], running: ["pause", "cancel"], paused: ["resume", "cancel"],
  failed: ["retry", "remove"], cancelled: ["retry", "remove"], done: ["remove"],
};
