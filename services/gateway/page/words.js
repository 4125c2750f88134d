// Words: a hook, lines after it, and what the viewer is to do.

import { h, icon } from "./dom.js";

const CAPTION_CHARS_MAX = 200;
const COUNTED_FROM = 140;
const BEATS_MAX = 20;
const PROMPT_CHARS_MAX = 5000;

export class Words {
  // `look` is called with a caption's role and place while its field is being written in.
  constructor(draft, changed, look) {
    Object.assign(this, { draft, changed, look });
    this.hook = this.field("Hook", "hook", "Sleep does the rest", "the first words on the screen",
      draft.hook, (text) => { draft.hook = text; }, () => ["hook", 0]);
    this.cta = this.field("Call to action", "cta", "Try it tonight", "the last words",
      draft.cta, (text) => { draft.cta = text; }, () => ["cta", 0]);
    this.beats = h("div", { class: "beats" });
    this.add = h("button", { type: "button", class: "plain add", onclick: () => this.more() },
      icon("plus"), "Add a line");
    this.lines = [];
    draft.beats.forEach((text) => this.line(text));
    this.element = h("div", {}, this.hook.element, this.beats, this.add, this.cta.element);
  }

  field(label, name, placeholder, hint, text, set, at) {
    const id = `w-${name}-${Math.random().toString(36).slice(2, 8)}`;
    const count = h("span", { class: "count", "aria-hidden": "true" });
    const wrong = h("p", { class: "error", id: `${id}-wrong`, hidden: true });
    const input = h("textarea", { id, name, placeholder, maxlength: CAPTION_CHARS_MAX, rows: 1,
      class: "caption", autocomplete: "off", dir: "auto", "aria-describedby": wrong.id,
      onfocus: () => this.look(...at()),
      oninput: () => { set(input.value); counted(); this.changed(); this.look(...at()); } });
    function counted() {
      const long = input.value.length >= COUNTED_FROM;
      count.textContent = long ? `${CAPTION_CHARS_MAX - input.value.length} left` : "";
    }
    input.value = text;
    counted();
    const title = h("span", {}, label);
    const element = h("div", { class: "field" },
      h("label", { for: id }, title, hint && h("small", {}, ` ${hint}`), count),
      h("div", { class: "row" }, input), wrong);
    return { element, input, title, wrong: (words) => mark(input, wrong, words) };
  }

  line(text) {
    const at = () => this.lines.indexOf(line);
    const line = this.field("Line", "beat", this.lines.length ? "" : "Rosehip. Squalane. Vitamin E.",
      "", text, (words) => { this.draft.beats[at()] = words; }, () => ["beat", at()]);
    line.off = h("button", { type: "button", class: "plain icon", onclick: () => this.less(at()) },
      icon("x"));
    line.element.querySelector(".row").append(line.off);
    this.lines.push(line);
    this.beats.append(line.element);
    this.number();
    return line;
  }

  more() {
    this.draft.beats.push("");
    this.line("").input.focus();
    this.changed();
  }

  less(at) {
    this.draft.beats.splice(at, 1);
    this.lines.splice(at, 1)[0].element.remove();
    this.number();
    this.changed();
    (this.lines[Math.min(at, this.lines.length - 1)]?.input || this.add).focus();
  }

  number() {
    this.lines.forEach((line, at) => {
      line.title.textContent = `Line ${at + 1}`;
      line.off.setAttribute("aria-label", `Remove line ${at + 1}`);
      line.off.hidden = this.lines.length === 1;
    });
    this.add.hidden = this.lines.length >= BEATS_MAX;
  }
}

export function direction(draft, changed) {
  const wrong = h("p", { class: "error", id: "prompt-wrong", hidden: true });
  const text = h("textarea", { id: "prompt", name: "prompt", rows: 3, dir: "auto",
    maxlength: PROMPT_CHARS_MAX, "aria-describedby": wrong.id,
    placeholder: "A dark glass bottle on wet stone, morning light",
    oninput: () => { draft.prompt = text.value; changed(); } });
  text.value = draft.prompt;
  const element = h("div", { class: "field" },
    h("label", { for: "prompt" }, "What the film is about", h("small", {}, " directs engines that generate")),
    text, wrong);
  return { element, input: text, wrong: (words) => mark(text, wrong, words) };
}

// Marks a field as wrong, in words, or as right again.
export function mark(input, place, words) {
  place.textContent = words || "";
  place.hidden = !words;
  if (words) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}
