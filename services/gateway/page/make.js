// Make a film: pictures, a look, words, length and sound; beside them the frame as it will be.

import { RETRY_MS, api } from "./api.js";
import { blank, isEmpty, like, load, request, save } from "./draft.js";
import { h, icon, later, many, say, sentence } from "./dom.js";
import { looks } from "./looks.js";
import { Pictures } from "./pictures.js";
import { Preview } from "./preview.js";
import { lengthField, moreFields, soundFields } from "./sound.js";
import { fieldName, wording } from "./telling.js";
import { Words } from "./words.js";

const PAUSE_MS = 350;
const PLAINER = { no_picture: "No picture yet: the film is made of its words alone." };
const EMPTY = "Begin with a picture or with words.";

export async function makeView(main, from = "") {
  const presets = await api.presets();
  let draft = load(presets);
  if (from) {
    const events = await api.events(from);
    draft = like(events.find((event) => event.type === "render_requested")?.data || {});
    save(draft);
    // What is written from here on is no copy of that film any more.
    history.replaceState(null, "", "#/make");
  }
  const maker = new Maker(main, presets, draft);
  return () => maker.close();
}

class Maker {
  constructor(main, presets, draft) {
    Object.assign(this, { main, presets, draft, held: null });
    this.preview = new Preview();
    this.preview.onscrub = () => { this.held = null; };
    this.preview.onframe = (url) => { this.peek.src = url; this.peek.hidden = false; };
    this.verdict = h("div", { class: "verdict", role: "status" });
    this.check = later(() => this.plan(), PAUSE_MS);
    this.build();
    this.begun();
    this.check();
  }

  build() {
    const changed = () => this.changed();
    const { draft } = this;
    this.pictures = new Pictures(draft, changed);
    this.looks = looks(this.presets, draft, changed);
    this.words = new Words(draft, changed, (role, at) => this.look(role, at));
    this.length = lengthField(draft, changed);
    this.sounds = soundFields(draft, changed);
    this.more = moreFields(draft, changed);
    this.peek = h("img", { alt: "", hidden: true });
    this.afresh = h("button", { type: "button", class: "plain", onclick: () => this.restart() }, "Start afresh");
    const form = h("form", { id: "make", novalidate: true,
      onsubmit: (event) => { event.preventDefault(); this.submit(); } },
    h("header", { class: "lead" },
      h("div", {}, h("h1", {}, "Make a film"),
        h("p", { class: "soft" }, "A picture, a few words and a look become a finished 9:16 film.")),
      this.afresh),
    step("Pictures", this.pictures.element),
    step("Look", this.looks.element),
    step("Words", this.words.element),
    step("Length and sound", this.length.element,
      h("div", { class: "files" }, ...Object.values(this.sounds).map((field) => field.element)),
      this.more.element));
    this.buttons = ["side", "dock"].map(() => {
      const button = h("button", { type: "submit", class: "primary wide" }, icon("film"), "Make the film");
      button.setAttribute("form", "make");
      return button;
    });
    this.home = h("div", { class: "home" }, this.preview.element);
    this.sheet = h("dialog", { class: "sheet", "aria-label": "Preview",
      onclose: () => this.home.append(this.preview.element) });
    this.sheet.append(h("button", { type: "button", class: "plain icon shut", "aria-label": "Close the preview",
      onclick: () => this.sheet.close() }, icon("x")));
    this.main.replaceChildren(
      h("div", { class: "making" }, form,
        h("aside", { class: "side", "aria-label": "Preview" }, this.home, this.verdict, this.buttons[0])),
      h("div", { class: "dock" },
        h("button", { type: "button", class: "peek", onclick: () => this.open() },
          h("span", { class: "small-phone" }, this.peek), "Preview"),
        this.buttons[1]),
      this.sheet);
  }

  open() {
    this.sheet.append(this.preview.element);
    this.sheet.showModal();
  }

  restart() {
    const begun = blank();
    begun.preset = this.draft.preset;
    save(begun);
    this.close();
    const fresh = new Maker(this.main, this.presets, begun);
    Object.assign(this, { close: () => fresh.close() });
    fresh.pictures.input.focus();
  }

  changed() {
    save(this.draft);
    this.begun();
    this.preview.busy();
    this.check();
  }

  begun() {
    const empty = isEmpty(this.draft);
    this.afresh.hidden = empty;
    this.preview.element.classList.toggle("empty", empty);
  }

  // While somebody writes, the preview stands where their words do.
  look(role, at) {
    this.held = [role, at];
    const held = this.caption();
    if (held) this.preview.to(...held);
  }

  caption() {
    if (!this.held) return null;
    const [role, at] = this.held;
    const text = role === "beat" ? this.draft.beats[at] : this.draft[role];
    const lines = (text || "").normalize("NFC").split("\n").map((line) => line.trim().replace(/\s+/g, " "));
    return [role, lines.filter(Boolean).join("\n")];
  }

  async plan() {
    this.planning?.abort();
    clearTimeout(this.retry);
    const asked = this.planning = new AbortController();
    const { ask, lines } = request(this.draft);
    try {
      const { plan, warnings } = await api.plan(ask, asked.signal);
      if (asked !== this.planning) return;
      this.preview.show(ask, plan, this.caption());
      this.tell([], lines, warnings);
    } catch (problem) {
      if (problem.name === "AbortError" || asked !== this.planning) return;
      const words = problem.status === 501 ? "This server cannot plan beforehand; the film will show." : "";
      this.preview.stale(words);
      if (problem.status !== 501) this.tell(problem.problems.length ? problem.problems : [problem], lines);
      if (problem.passing) this.retry = setTimeout(() => this.plan(), RETRY_MS);
    }
  }

  async submit() {
    if (isEmpty(this.draft)) {
      this.pictures.say([EMPTY]);
      this.pictures.input.focus();
      this.pictures.element.scrollIntoView({ block: "center" });
      return;
    }
    this.buttons.forEach((button) => { button.disabled = true; });
    const { ask, lines } = request(this.draft);
    try {
      const { job_id: id } = await api.submit(ask);
      location.hash = `#/film/${encodeURIComponent(id)}`;
    } catch (problem) {
      this.tell(problem.problems.length ? problem.problems : [problem], lines);
      this.verdict.scrollIntoView({ block: "nearest" });
    } finally {
      this.buttons.forEach((button) => { button.disabled = false; });
    }
  }

  // Each problem stands at its field; beside the button is how many there are, and the way there.
  tell(problems, lines = [], warnings = []) {
    const fields = this.fields(lines);
    const told = new Map();
    const pictures = new Map();
    const rest = [];
    for (const problem of problems) {
      const place = /^image_uris\[(\d+)\]/.exec(problem.field || "");
      if (place) pictures.set(Number(place[1]), wording(problem));
      else if (fields[problem.field]) told.set(problem.field, [...(told.get(problem.field) || []), wording(problem)]);
      else rest.push(problem.field ? `${fieldName(problem.field)}: ${wording(problem)}` : problem.message);
    }
    for (const [name, field] of Object.entries(fields)) field.wrong(first(told.get(name)));
    this.pictures.mark(pictures);
    const links = [...told.keys()].map((name) => fields[name].input);
    if (pictures.size) links.unshift(this.pictures.input);
    if (isEmpty(this.draft) && !problems.length) {
      say(this.verdict, h("p", { class: "hint" }, EMPTY));
      return;
    }
    const count = pictures.size + told.size;
    say(this.verdict,
      ...rest.map((words) => h("p", { class: "error" }, icon("alert"), words)),
      ...(count ? [h("p", { class: "error" }, icon("alert"), `${many(count, "thing")} to put right. `,
        h("button", { type: "button", class: "link", onclick: () => reveal(links[0]) }, "Show me"))] : []),
      ...remarks(warnings));
  }

  fields(lines) {
    const { prompt, ...more } = this.more.fields;
    const beats = Object.fromEntries(this.words.lines.map((line, at) =>
      [`beats[${lines.includes(at) ? lines.indexOf(at) : `-${at}`}]`, line]));
    return { hook: this.words.hook, ...beats, cta: this.words.cta, prompt, ...more,
      target_duration_seconds: this.length, ...this.sounds };
  }

  close() {
    this.planning?.abort();
    this.check.cancel();
    clearTimeout(this.retry);
    this.pictures.leave();
    this.looks.close();
    this.preview.close();
    if (this.sheet.open) this.sheet.close();
  }
}

function step(title, ...content) {
  return h("section", { class: "step" }, h("h2", {}, title), ...content);
}

function first(words) {
  if (!words) return "";
  return words.length > 1 ? `${words[0]} (and ${words.length - 1} more like it)` : words[0];
}

function remarks(warnings) {
  const told = warnings.map((one) => h("p", { class: "remark" }, PLAINER[one.code] || `${sentence(one.message)}.`));
  if (told.length <= 2) return told;
  return [told[0], h("details", {}, h("summary", {}, `${told.length - 1} more remarks`), ...told.slice(1))];
}

function reveal(input) {
  for (let inside = input; inside; inside = inside.parentElement) {
    if (inside.tagName === "DETAILS") inside.open = true;
  }
  input.scrollIntoView({ block: "center" });
  input.focus({ preventScroll: true });
}
