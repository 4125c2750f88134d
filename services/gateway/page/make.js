// Make a film: pictures, a look, words, length and sound; beside them the frame as it will be.

import { RETRY_MS, api } from "./api.js";
import { calm, h, later, say, seconds } from "./dom.js";
import { Preview, visible } from "./preview.js";

const ARCHETYPES = {
  PRODUCT_HERO: "Full frame",
  OVERLAY: "Product on a ground",
  MEME_TEXT: "Words first",
};
const CAPTION_CHARS_MAX = 200;
const BEATS_MAX = 20;

export async function makeView(main) {
  const presets = await api.presets();
  const state = { pictures: [], beats: [""], music: null, voice: null };
  const preview = new Preview();
  const problems = h("div", { class: "problems", role: "status", "aria-live": "polite" });
  const form = h("form", { class: "make", id: "make", onsubmit: (event) => { event.preventDefault(); ask(); } });
  let planning = null;
  let retry = 0;
  let touched = false;

  const check = later(async () => {
    planning?.abort();
    clearTimeout(retry);
    planning = new AbortController();
    const asked = planning;
    try {
      const { plan, warnings } = await api.plan(request(), planning.signal);
      if (asked !== planning) return;
      preview.show(plan, state.pictures);
      tell([], warnings);
    } catch (problem) {
      if (problem.name === "AbortError" || asked !== planning) return;
      preview.sketch(state.pictures);
      if (problem.status === 422) tell(problem.problems, []);
      else if (problem.status !== 501) tell([{ message: problem.message }], []);
      if (problem.status === 0 || problem.status === 503) retry = setTimeout(check, RETRY_MS);
    }
  }, 500);
  const changed = () => { touched = true; check(); };
  form.addEventListener("input", changed);

  function tell(found, warnings) {
    if (!touched && (found.some((item) => item.field) || warnings.length)) {
      // Nobody has done anything yet: what to begin with is no mistake.
      say(problems, h("p", { class: "hint" }, "Begin with a picture or with words."));
      return;
    }
    say(problems,
      ...found.map((item) => h("p", { class: "error" }, item.message || item.limit)),
      ...warnings.map((item) => h("p", { class: "warning" }, item.message)));
  }

  function request() {
    const words = new FormData(form);
    const text = (name) => words.get(name)?.trim() || "";
    const beats = words.getAll("beat").map((beat) => beat.trim()).filter(Boolean);
    const ask = {
      preset_id: words.get("preset"),
      target_duration_seconds: Number(words.get("duration")),
      prompt: text("prompt") || text("hook"),
      hook: text("hook"),
    };
    if (beats.length) ask.beats = beats;
    if (text("cta")) ask.cta = text("cta");
    if (state.pictures.length) ask.image_uris = state.pictures.map((picture) => picture.uri);
    if (state.music) ask.music_uri = state.music.uri;
    if (state.voice) ask.voice_uri = state.voice.uri;
    if (words.get("brand_safe")) ask.brand_safe = words.get("brand_safe") === "yes";
    if (words.get("engine_policy")) ask.engine_policy = words.get("engine_policy");
    if (words.get("draft")) ask.draft = true;
    return ask;
  }

  async function ask() {
    touched = true;
    button.disabled = true;
    try {
      const { job_id: id } = await api.submit(request());
      location.hash = `#/film/${encodeURIComponent(id)}`;
    } catch (problem) {
      tell(problem.problems.length ? problem.problems : [{ message: problem.message }], []);
      problems.scrollIntoView({ block: "nearest" });
    } finally {
      button.disabled = false;
    }
  }

  const button = h("button", { type: "submit", class: "primary" }, "Make the film");
  button.setAttribute("form", "make");
  form.append(
    pictureStep(state, changed),
    lookStep(presets),
    wordStep(),
    soundStep(state, changed),
  );
  main.replaceChildren(
    h("h1", { class: "hidden" }, "Make a film"),
    h("div", { class: "columns making" }, form,
      h("aside", { "aria-label": "Preview" }, preview.element),
      h("div", { class: "go" }, problems, button)),
  );
  preview.sketch(state.pictures);
  check();
  return () => { planning?.abort(); clearTimeout(retry); preview.close(); };
}

function step(number, title, ...content) {
  return h("fieldset", {}, h("legend", {}, h("span", { class: "number" }, String(number)), title),
    ...content);
}

function pictureStep(state, changed) {
  const list = h("ul", { class: "pictures" });
  const note = h("p", { class: "error", role: "alert" });
  const input = h("input", { type: "file", accept: "image/*", multiple: true, id: "pictures" });
  const zone = h("label", { class: "drop", for: "pictures" },
    h("strong", {}, "Drop pictures here"), " or choose files", h("br"),
    h("small", {}, "PNG with transparency is cut out; up to 20 MB each"), input);

  async function take(files) {
    note.textContent = "";
    for (const file of files) {
      const item = { name: file.name, url: URL.createObjectURL(file), uri: null };
      zone.classList.add("busy");
      try {
        item.uri = (await api.upload(file)).uri;
        item.seen = await visible(item.url).catch(() => null);
        state.pictures.push(item);
      } catch (problem) {
        note.textContent = `${file.name}: ${problem.message}`;
      }
      zone.classList.remove("busy");
    }
    render();
    changed();
  }

  function move(from, to) {
    const back = to >= 0 ? to : Math.min(from, state.pictures.length - 2);
    const [picture] = state.pictures.splice(from, 1);
    if (to >= 0) state.pictures.splice(to, 0, picture);
    else URL.revokeObjectURL(picture.url);
    render();
    changed();
    // Whoever came by the keyboard stays where they were.
    (list.children[back]?.querySelector("button:last-of-type") || input).focus();
  }

  function render() {
    list.replaceChildren(...state.pictures.map((picture, at) => h("li", {},
      h("img", { src: picture.url, alt: picture.name }),
      h("div", { class: "tools" },
        at > 0 && h("button", { type: "button", "aria-label": `Move ${picture.name} forward`,
          onclick: () => move(at, at - 1) }, "←") || null,
        h("button", { type: "button", "aria-label": `Remove ${picture.name}`,
          onclick: () => move(at, -1) }, "×")))));
  }

  input.addEventListener("change", (event) => {
    event.stopPropagation();
    take([...input.files]);
    input.value = "";
  });
  for (const kind of ["dragenter", "dragover"]) {
    zone.addEventListener(kind, (event) => { event.preventDefault(); zone.classList.add("over"); });
  }
  for (const kind of ["dragleave", "drop"]) {
    zone.addEventListener(kind, (event) => { event.preventDefault(); zone.classList.remove("over"); });
  }
  zone.addEventListener("drop", (event) => {
    take([...event.dataTransfer.files].filter((file) => file.type.startsWith("image/")));
  });
  return step(1, "Pictures", zone, note, list);
}

function lookStep(presets) {
  const cards = presets.map((preset, at) => {
    const sample = h("video", { src: `/page/samples/${preset.preset_id}.mp4#t=1`, muted: true,
      loop: true, playsInline: true, preload: "metadata", "aria-hidden": "true" });
    sample.muted = true;
    const play = () => { if (!calm()) sample.play().catch(() => {}); };
    const rest = () => { sample.pause(); };
    return h("label", { class: "look", onmouseenter: play, onmouseleave: rest,
      onfocusin: play, onfocusout: rest },
    h("input", { type: "radio", name: "preset", value: preset.preset_id,
      checked: preset.preset_id === "overlay_classic" || (at === 0 && !presets.some(
        (other) => other.preset_id === "overlay_classic")) }),
    sample,
    h("span", { class: "name" }, preset.title),
    h("small", {}, ARCHETYPES[preset.archetype] || preset.archetype));
  });
  return step(2, "Look", h("div", { class: "looks", role: "radiogroup", "aria-label": "Look" },
    ...cards));
}

function counted(label, name, placeholder, { hint = "" } = {}) {
  const id = `w-${name}-${Math.random().toString(36).slice(2, 8)}`;
  const count = h("span", { class: "count", "aria-hidden": "true" });
  const input = h("input", { type: "text", id, name, placeholder, maxlength: CAPTION_CHARS_MAX,
    autocomplete: "off", dir: "auto",
    oninput: () => { count.textContent = input.value.length > 120 ? String(CAPTION_CHARS_MAX - input.value.length) : ""; } });
  return h("div", { class: "field" }, h("label", { for: id }, label,
    hint ? h("small", {}, ` ${hint}`) : null), input, count);
}

function wordStep() {
  const beats = h("div", { class: "beats" });
  const add = h("button", { type: "button", class: "quiet", onclick: () => more(true) }, "+ Another line");
  function more(focus) {
    const field = counted(`Line ${beats.children.length + 1}`, "beat",
      beats.children.length ? "" : "Rosehip. Squalane. Vitamin E.");
    beats.append(field);
    add.hidden = beats.children.length >= BEATS_MAX;
    if (focus) field.querySelector("input").focus();
  }
  more(false);
  const about = h("textarea", { id: "prompt", name: "prompt", rows: 2, dir: "auto",
    placeholder: "A dark glass bottle on wet stone, morning light" });
  return step(3, "Words",
    counted("Hook", "hook", "Sleep does the rest", { hint: "the first words on the screen" }),
    beats, add,
    counted("Call to action", "cta", "Try it tonight", { hint: "the last words" }),
    h("details", {}, h("summary", {}, "Direction for engines that generate"),
      h("div", { class: "field" }, h("label", { for: "prompt" }, "What the film is about"), about)));
}

function soundStep(state, changed) {
  const told = h("output", { for: "duration" }, seconds(15));
  const length = h("input", { type: "range", id: "duration", name: "duration", min: "1", max: "60",
    value: "15", oninput: () => { told.textContent = seconds(Number(length.value)); } });
  return step(4, "Length and sound",
    h("div", { class: "field" }, h("label", { for: "duration" }, "Length ", told), length),
    soundField("Music", "music", state, changed),
    soundField("Voice", "voice", state, changed),
    h("details", {}, h("summary", {}, "More"),
      choice("Brand-safe", "brand_safe", [["", "As the look says"], ["yes", "Yes: every product pixel as uploaded"], ["no", "No"]]),
      choice("Engines", "engine_policy", [["", "As the look says"], ["local_only", "Only this machine"], ["local_preferred", "This machine first"], ["api_only", "Hosted engines"]]),
      h("label", { class: "check" }, h("input", { type: "checkbox", name: "draft" }),
        " Draft: a quick, small preview")));
}

function choice(label, name, options) {
  const id = `c-${name}`;
  return h("div", { class: "field" }, h("label", { for: id }, label),
    h("select", { id, name }, ...options.map(([value, text]) => h("option", { value }, text))));
}

function soundField(label, name, state, changed) {
  const id = `s-${name}`;
  const note = h("small", { role: "status" });
  const input = h("input", { type: "file", id, accept: "audio/*,video/mp4" });
  const clear = h("button", { type: "button", class: "quiet", hidden: true,
    "aria-label": `Remove the ${name}`, onclick: () => {
      state[name] = null; input.value = ""; clear.hidden = true; note.textContent = ""; changed();
    } }, "×");
  input.addEventListener("change", async (event) => {
    event.stopPropagation();
    if (!input.files.length) return;
    note.textContent = "Sending…";
    try {
      state[name] = await api.upload(input.files[0]);
      note.textContent = "";
      clear.hidden = false;
      changed();
    } catch (problem) {
      note.textContent = problem.message;
    }
  });
  return h("div", { class: "field file" }, h("label", { for: id }, label), input, clear, note);
}
