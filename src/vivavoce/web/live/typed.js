// Tells what of a text field is new, while somebody types in it. Knows neither the page nor the server.

// A word is complete when one of these follows it, or in scripts that have no spaces.
const END = /[\s,.;:!?…、。，！？；：\p{sc=Han}\p{sc=Hira}\p{sc=Kana}]/u;
const WORDS = new RegExp(`^.*${END.source}`, "su");
const CLAUSES = /^.*[\n,.;:!?…、。，！？；：]/su;

/**
 * What was taken of a text, and what is left.
 * Only what is added at the end is new. Whoever deletes the end and writes another one gets that
 * from the first word that differs. A change further up is not new.
 */
export class Typed {
  #value; // of the field
  #taken; // the beginning of it, as it was when it was taken
  #apart = ""; // between what was taken and what comes instead of the end of it

  constructor(value) {
    this.#value = this.#taken = value;
  }

  /** Set the text after a change, `atEnd` if it was made there. Return whether it can be taken. */
  change(value, atEnd) {
    const [taken, left] = [this.#taken, this.#left];
    this.#value = value;
    if (value === "") this.#taken = "";
    else if (!atEnd && !value.startsWith(taken)) {
      this.#taken = value.endsWith(left) ? value.slice(0, value.length - left.length) : value;
    } else if (!value.startsWith(taken) && !taken.startsWith(value)) {
      this.#taken = value.slice(0, firstNew(value, taken));
      this.#apart = /\s$/.test(taken) ? "" : " ";
    }
    return atEnd || value.startsWith(taken);
  }

  /** Take the complete clauses that are new. */
  clauses() {
    return this.#take(this.#left.match(CLAUSES)?.[0] ?? "");
  }

  /** Take the complete words that are new. */
  words() {
    return this.#take(this.#left.match(WORDS)?.[0] ?? "");
  }

  /** Take all that is new. */
  rest() {
    return this.#take(this.#left);
  }

  /** Take all of the text, also what was taken before. */
  all() {
    this.#taken = "";
    return this.rest();
  }

  get #left() {
    return this.#value.startsWith(this.#taken) ? this.#value.slice(this.#taken.length) : "";
  }

  #take(text) {
    if (text === "") return "";
    const apart = this.#apart;
    this.#taken += text;
    this.#apart = "";
    return apart + text;
  }
}

/** Return the start of the first word in `value` that is not the same in `before`. */
function firstNew(value, before) {
  let at = 0;
  while (value[at] === before[at]) at++; // both differ somewhere, since neither begins with the other
  if (END.test(value[at]) && END.test(before[at])) return at; // the word before is the same
  while (at > 0 && !END.test(value[at - 1])) at--;
  return at;
}
