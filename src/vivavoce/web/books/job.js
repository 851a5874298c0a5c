// Shows one job: where it stands, its buttons, its chapters and its files.

import * as server from "./server.js";
import { ACTIONS, duration, stateSentence } from "./words.js";

const LABELS = { pause: "Pause", resume: "Go on", cancel: "Cancel", retry: "Try again", remove: "Remove" };

function made(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** One job on the page, in `root`. `act(job, action)` changes it, `attempt` shows errors. */
export class JobView {
  #job;
  #act;
  #attempt;
  #ready = ""; // the chapters that are shown as ready
  #state = made("p", { className: "state" });
  #bar = made("progress", { max: 100 });
  #actions = made("div", { className: "actions" });
  #files = made("div", { className: "actions" });
  #chapters = made("ol");
  #player = made("audio", { controls: true, preload: "none", hidden: true });
  #playing = null; // the number of a chapter

  constructor(job, act, attempt) {
    this.#job = job;
    this.#act = act;
    this.#attempt = attempt;
    const title = made("h3", { textContent: job.title || job.source });
    const details = made("details", {}, made("summary", { textContent: "Chapters" }), this.#chapters, this.#player);
    details.addEventListener("toggle", () => details.open && attempt(() => this.#showChapters()));
    this.#player.addEventListener("ended", () => this.#next());
    this.#state.setAttribute("role", "status");
    this.#bar.setAttribute("aria-label", `Made of ${title.textContent}`);
    this.root = made("article", {}, title, this.#state, this.#bar, this.#actions, this.#files, details);
    this.root.dataset.job = job.id;
  }

  /** Show a job as the server describes it. */
  async show(job) {
    const isNew = job.state !== this.#job.state || this.#actions.childElementCount === 0;
    this.#job = job;
    this.root.dataset.state = job.state;
    this.#state.textContent = stateSentence(job);
    this.#bar.value = job.percent;
    if (!isNew) return;
    this.#actions.replaceChildren(...ACTIONS[job.state].map((action) => this.#button(action)));
    await this.#showFiles();
    await this.#showChapters();
  }

  /** Show an event of the job. */
  async follow(now) {
    const { state, percent, problem, audio_s, sentences_failed } = now;
    const job = { ...this.#job, state, percent, problem, audio_s, sentences_failed };
    if (state !== this.#job.state) await this.show(job);
    this.#job = job;
    this.#state.textContent = stateSentence(job, now);
    this.#bar.value = percent;
    if (this.#ready !== now.chapters_ready.join()) await this.#showChapters();
  }

  #button(action) {
    const button = made("button", { type: "button", textContent: LABELS[action] });
    button.addEventListener("click", () => this.#attempt(() => this.#act(this.#job, action)));
    return button;
  }

  async #showFiles() {
    const files = this.#job.state === "done" ? await server.files(this.#job.id) : [];
    this.#files.replaceChildren(...files.map((file) => {
      const button = made("button", { type: "button", textContent: `Download ${file.format.toUpperCase()}` });
      button.addEventListener("click", () => this.#attempt(() => this.#download(file)));
      return button;
    }));
  }

  async #showChapters() {
    const chapters = await server.chapters(this.#job.id);
    const ready = chapters.filter((chapter) => chapter.ready).map(({ number }) => number);
    this.#ready = ready.join();
    this.#chapters.replaceChildren(...chapters.map((chapter) => this.#line(chapter)));
  }

  #line({ number, title, ready, audio_s, sentences, sentences_made }) {
    const length = ready ? duration(audio_s) : `${sentences_made} of ${sentences} sentences`;
    const play = made("button", { type: "button", textContent: "Listen", disabled: !ready });
    play.setAttribute("aria-label", `Listen to ${title || `chapter ${number}`}`);
    play.setAttribute("aria-pressed", String(this.#playing === number));
    play.dataset.number = number;
    play.addEventListener("click", () => this.#attempt(() => this.#play(number)));
    const hint = made("span", { className: "hint", textContent: ` ${length}` });
    return made("li", {}, made("span", {}, title || `Chapter ${number}`, hint), play);
  }

  async #play(number) {
    this.#playing = number;
    for (const button of this.#chapters.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.number) === number));
    }
    this.#player.hidden = false;
    URL.revokeObjectURL(this.#player.src);
    this.#player.src = await sourceOf(server.chapterUrl(this.#job.id, number));
    try {
      await this.#player.play();
    } catch (error) {
      if (!["AbortError", "NotAllowedError"].includes(error.name)) throw error; // another was chosen, or Play is to be pressed
    }
  }

  /** Go on with the next chapter, if it is there. */
  #next() {
    const button = this.#chapters.querySelector(`[data-number="${this.#playing + 1}"]:enabled`);
    button?.click();
  }

  async #download({ name }) {
    const href = await sourceOf(server.fileUrl(this.#job.id, name));
    made("a", { href, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(href), 60_000); // the browser reads it some time after the click
  }
}

/** Return what a player or a link can open: a player sends no key, so the page loads the file. */
async function sourceOf(url) {
  const hasKey = document.getElementById("key").value.trim() !== "";
  return hasKey ? URL.createObjectURL(await server.blob(url)) : url;
}
