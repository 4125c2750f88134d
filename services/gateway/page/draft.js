// The film that is being thought up.  It is kept in this browser: neither a reload nor a look at
// other films loses it.  Pictures are kept by the name that the server gave them, and small.

import { kept } from "./dom.js";

const NAME = "draft";
const THUMBS = "thumbs";
const THUMBS_MAX = 60;
const THUMB_PX = 184;
const FIRST_LOOK = "overlay_classic";
const OWN = new Set(["preset_id", "target_duration_seconds", "image_uris", "hook", "beats", "cta",
  "prompt", "music_uri", "voice_uri", "logo_uri", "font_uri", "brand_safe", "engine_policy", "draft"]);
// What belongs to one film and not to the next.
const PAST = new Set(["job_id", "seed", "deadline_seconds"]);
const FILES = ["music", "voice", "logo", "font"];

export function blank() {
  return { preset: FIRST_LOOK, pictures: [], hook: "", beats: [""], cta: "", prompt: "", duration: 15,
    music: null, voice: null, logo: null, font: null, brandSafe: "", policy: "", quick: false, more: {} };
}

export function load(presets) {
  const draft = { ...blank(), ...kept.get(NAME) };
  if (!presets.some((preset) => preset.preset_id === draft.preset)) {
    draft.preset = presets.some((preset) => preset.preset_id === FIRST_LOOK)
      ? FIRST_LOOK : presets[0]?.preset_id || "";
  }
  return draft;
}

export function save(draft) {
  kept.set(NAME, draft);
}

// Whether there is anything that a film could show.
export function isEmpty(draft) {
  return !draft.pictures.length && !(draft.more.assets || []).length
    && ![draft.hook, draft.cta, draft.prompt, ...draft.beats].some((text) => text.trim());
}

// The request, and for each beat of it the line of the form that it stands in.
export function request(draft) {
  const lines = draft.beats.map((text, at) => [text.trim(), at]).filter(([text]) => text);
  const ask = { ...draft.more, preset_id: draft.preset, target_duration_seconds: draft.duration,
    hook: draft.hook.trim() };
  if (lines.length) ask.beats = lines.map(([text]) => text);
  for (const name of ["cta", "prompt"]) if (draft[name].trim()) ask[name] = draft[name].trim();
  if (draft.pictures.length) ask.image_uris = draft.pictures.map((picture) => picture.uri);
  for (const name of FILES) if (draft[name]) ask[`${name}_uri`] = draft[name].uri;
  if (draft.brandSafe) ask.brand_safe = draft.brandSafe === "yes";
  if (draft.policy) ask.engine_policy = draft.policy;
  if (draft.quick) ask.draft = true;
  return { ask, lines: lines.map(([, at]) => at) };
}

// A draft like a film that was asked for before.
export function like(ask) {
  const named = (uri, name) => (typeof uri === "string" ? { uri, name: fileName(uri, name) } : null);
  const draft = { ...blank(), preset: ask.preset_id, hook: ask.hook ?? ask.prompt ?? "",
    beats: ask.beats?.length ? [...ask.beats] : [""], cta: ask.cta ?? "",
    prompt: ask.hook === undefined || ask.hook === null ? "" : ask.prompt ?? "",
    duration: Number(ask.target_duration_seconds) || 15,
    pictures: (ask.image_uris || []).map((uri, at) => named(uri, `Picture ${at + 1}`)),
    brandSafe: { true: "yes", false: "no" }[ask.brand_safe] || "", policy: ask.engine_policy || "",
    quick: ask.draft === true };
  for (const name of FILES) draft[name] = named(ask[`${name}_uri`], `The ${name} of that film`);
  for (const [name, value] of Object.entries(ask)) {
    if (!OWN.has(name) && !PAST.has(name) && value !== null) draft.more[name] = value;
  }
  return draft;
}

function fileName(uri, otherwise) {
  return uri.startsWith("sha256:") ? otherwise : uri.split("/").pop() || otherwise;
}

export function thumbOf(uri) {
  return (kept.get(THUMBS) || {})[uri];
}

// Keeps a small picture of a file, if it is one that this browser can show.
export async function keepThumb(uri, file) {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    return;  // Whether it is a picture is for the server to say.
  }
  const share = Math.min(1, THUMB_PX / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * share));
  canvas.height = Math.max(1, Math.round(picture.height * share));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  const thumbs = Object.entries(kept.get(THUMBS) || {}).filter(([known]) => known !== uri);
  thumbs.push([uri, canvas.toDataURL("image/webp", 0.8)]);
  kept.set(THUMBS, Object.fromEntries(thumbs.slice(-THUMBS_MAX)));
}
