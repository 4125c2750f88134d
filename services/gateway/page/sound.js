// Length, sound, and what few films need: a logo, a font, who may draw.

import { api } from "./api.js";
import { h, icon, seconds } from "./dom.js";
import { direction, mark } from "./words.js";

const USUAL = [6, 15, 30, 60];
const SECONDS_MAX = 60;

export function lengthField(draft, changed) {
  const told = h("output", { for: "duration" });
  const wrong = h("p", { class: "error", id: "duration-wrong", hidden: true });
  const range = h("input", { type: "range", id: "duration", name: "duration", min: "1",
    max: String(SECONDS_MAX), step: "1", value: String(draft.duration), "aria-describedby": wrong.id,
    oninput: () => set(Number(range.value)) });
  const chips = USUAL.map((length) => h("button", { type: "button", class: "chip",
    onclick: () => set(length) }, seconds(length)));
  function set(length, quiet = false) {
    draft.duration = length;
    range.value = String(length);
    range.setAttribute("aria-valuetext", seconds(length));
    told.textContent = seconds(length);
    chips.forEach((chip, at) => chip.setAttribute("aria-pressed", String(USUAL[at] === length)));
    if (!quiet) changed();
  }
  set(draft.duration, true);
  const element = h("div", { class: "field" },
    h("label", { for: "duration" }, "Length", told),
    h("div", { class: "length" }, range, h("div", { class: "chips" }, ...chips)), wrong);
  return { element, input: range, wrong: (words) => mark(range, wrong, words) };
}

// A file that is sent as soon as it is chosen, and can be taken out again.
function fileField(draft, name, label, shown, accept, changed) {
  const id = `f-${name}`;
  const wrong = h("p", { class: "error", id: `${id}-wrong`, hidden: true });
  const input = h("input", { type: "file", id, accept, class: "unseen", "aria-describedby": wrong.id,
    onchange: () => send(input.files[0]) });
  const add = h("label", { class: "button", for: id }, icon(shown), `Add ${label}`, input);
  const told = h("span", { class: "told", role: "status" });
  const off = h("button", { type: "button", class: "plain icon", "aria-label": `Remove the ${name}`,
    onclick: () => { draft[name] = null; mark(input, wrong, ""); show(); changed(); input.focus(); } },
  icon("x"));
  const row = h("div", { class: "filled" }, icon(shown), told, off);
  function show(going = "") {
    add.hidden = Boolean(going || draft[name]);
    row.hidden = !add.hidden;
    row.classList.toggle("going", Boolean(going));
    off.hidden = Boolean(going);
    told.textContent = going || draft[name]?.name || "";
  }
  async function send(file) {
    if (!file) return;
    show(`Sending ${file.name}…`);
    mark(input, wrong, "");
    try {
      draft[name] = { uri: (await api.upload(file)).uri, name: file.name };
      changed();
    } catch (problem) {
      mark(input, wrong, `${file.name}: ${problem.message}`);
    }
    input.value = "";
    show();
  }
  show();
  return { element: h("div", { class: "file" }, add, row, wrong), input,
    wrong: (words) => mark(input, wrong, words) };
}

export function soundFields(draft, changed) {
  return {
    music_uri: fileField(draft, "music", "music", "music", "audio/*,video/mp4", changed),
    voice_uri: fileField(draft, "voice", "a voice", "mic", "audio/*,video/mp4", changed),
  };
}

export function moreFields(draft, changed) {
  const fields = {
    prompt: direction(draft, changed),
    logo_uri: fileField(draft, "logo", "a logo", "picture", "image/png,image/jpeg,image/webp", changed),
    font_uri: fileField(draft, "font", "your font", "type", ".ttf,.otf,font/ttf,font/otf", changed),
    brand_safe: choice(draft, "brandSafe", "Brand-safe", changed, [["", "As the look has it"],
      ["yes", "Yes: the product exactly as uploaded"], ["no", "No"]]),
    engine_policy: choice(draft, "policy", "Who may draw", changed, [["", "As the look has it"],
      ["local_only", "Only this machine"], ["local_preferred", "This machine first"],
      ["api_only", "Hosted engines"]]),
  };
  const quick = h("input", { type: "checkbox", checked: draft.quick,
    onchange: () => { draft.quick = quick.checked; changed(); } });
  const others = Object.keys(draft.more);
  const kept = others.length && h("p", { class: "hint" }, `Kept from that film: ${others.join(", ")}. `,
    h("button", { type: "button", class: "link", onclick: (event) => {
      draft.more = {};
      event.target.closest("p").remove();
      changed();
    } }, "Leave it out"));
  const element = h("details", { class: "further", open: Boolean(others.length || draft.prompt) },
    h("summary", {}, "More: direction, logo, font, who may draw"),
    fields.prompt.element,
    h("div", { class: "files" }, fields.logo_uri.element, fields.font_uri.element),
    h("div", { class: "pair" }, fields.brand_safe.element, fields.engine_policy.element),
    h("label", { class: "check" }, quick, h("span", {}, "Draft",
      h("small", {}, " a quarter of the pixels, in less time"))), kept || null);
  return { element, fields };
}

function choice(draft, key, label, changed, options) {
  const id = `c-${key}`;
  const wrong = h("p", { class: "error", id: `${id}-wrong`, hidden: true });
  const input = h("select", { id, name: key, "aria-describedby": wrong.id,
    onchange: () => { draft[key] = input.value; changed(); } },
  ...options.map(([value, text]) => h("option", { value, selected: value === draft[key] }, text)));
  return { element: h("div", { class: "field" }, h("label", { for: id }, label), input, wrong), input,
    wrong: (words) => mark(input, wrong, words) };
}
