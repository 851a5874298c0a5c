// Shows the words of a speech, marks the one that is heard, and tells which one was picked.
// Knows neither the server nor the player.

/** The words of one speech, in the author's text. `onPick(start_s)` is called for a click. */
export class Transcript {
  #element;
  #characters; // code points, as the server counts them
  #shown = 0; // characters
  #words = []; // {start_s, button}, in order
  #now = null; // the marked button

  constructor(element, text, onPick) {
    this.#element = element;
    this.#characters = Array.from(text);
    element.replaceChildren();
    element.onclick = ({ target }) => {
      const word = this.#words.find(({ button }) => button === target);
      if (word) onPick(word.start_s);
    };
  }

  /** Add to the text, which is being written. */
  write(text) {
    this.#characters.push(...text);
  }

  /** Add words of the server, with the text before each of them. */
  add(words) {
    for (const { start, end, start_s } of words) {
      if (start < this.#shown) continue; // "$4.50" is several words
      this.#element.append(this.#text(this.#shown, start));
      const button = Object.assign(document.createElement("button"), { type: "button", className: "word" });
      button.textContent = this.#text(start, end);
      this.#element.append(button);
      this.#words.push({ start_s, button });
      this.#shown = end;
    }
  }

  /** Add the text behind the last word. */
  finish() {
    if (this.#words.length > 0) this.#element.append(this.#text(this.#shown, this.#characters.length));
  }

  /** Mark the word that is heard at `atS` seconds. */
  mark(atS) {
    const word = this.#words.findLast(({ start_s }) => start_s <= atS);
    if (word?.button === this.#now) return;
    this.#now?.removeAttribute("aria-current");
    this.#now = word?.button ?? null;
    this.#now?.setAttribute("aria-current", "true");
  }

  #text(start, end) {
    return this.#characters.slice(start, end).join("");
  }
}

/** Show an interrupted text: what was heard of it, and in grey what was not. */
export function showHeard(element, { heard, unheard }) {
  const rest = Object.assign(document.createElement("span"), { className: "unheard", textContent: unheard });
  element.replaceChildren(heard, rest);
}
