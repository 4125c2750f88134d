// Looks: each preset by a moving sample of a film of its own; one that comes without a sample, as an
// operator's own does, by a frame that is drawn for it.

import { api } from "./api.js";
import { calm, h, icon } from "./dom.js";

const KINDS = {
  PRODUCT_HERO: "Picture fills the frame",
  OVERLAY: "Product on a ground",
  MEME_TEXT: "Words come first",
};

const SAMPLE_S = 4;
const SHOWN_AT = 40;

export function looks(presets, draft, changed) {
  const films = new Map();
  const busy = new Set();
  const play = (film) => { if (!calm()) film.play().catch(() => {}); };
  const rest = (film) => { if (film !== films.get(draft.preset)) film.pause(); };

  const cards = presets.map((preset) => {
    const id = preset.preset_id;
    const film = h("video", { src: `/page/samples/${id}.mp4#t=1`, loop: true, playsInline: true,
      preload: "metadata", muted: true, "aria-hidden": "true", tabindex: "-1" });
    film.addEventListener("error", () => drawn(film, preset));
    films.set(id, film);
    const radio = h("input", { type: "radio", name: "preset", value: id, class: "unseen",
      checked: id === draft.preset, onchange: () => {
        draft.preset = id;
        for (const other of films.values()) if (other !== film && !busy.has(other)) other.pause();
        play(film);
        changed();
      } });
    return h("label", { class: "look",
      onmouseenter: () => { busy.add(film); play(film); },
      onmouseleave: () => { busy.delete(film); rest(film); },
      onfocusin: () => play(film), onfocusout: () => rest(film) },
    radio, h("span", { class: "sample" }, film, h("span", { class: "tick" }, icon("check"))),
    h("span", { class: "name" }, preset.title),
    h("small", {}, KINDS[preset.archetype] || preset.archetype));
  });
  const element = h("div", { class: "looks", role: "radiogroup", "aria-label": "Look" }, ...cards);

  // The chosen one moves while it can be seen, and is where the eye is.
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) target.pause();
      else if (target === films.get(draft.preset)) play(target);
    }
  });
  for (const film of films.values()) seen.observe(film);
  requestAnimationFrame(() => {
    const card = element.querySelector(":checked")?.closest(".look");
    if (card) element.scrollLeft = card.offsetLeft - (element.clientWidth - card.clientWidth) / 2;
  });
  return { element, close: () => seen.disconnect() };
}

async function drawn(film, preset) {
  film.classList.add("gone");
  const ask = { preset_id: preset.preset_id, target_duration_seconds: SAMPLE_S, hook: preset.title };
  try {
    const url = URL.createObjectURL(await api.frame(ask, SHOWN_AT));
    film.after(h("img", { src: url, alt: "", onload: () => URL.revokeObjectURL(url) }));
  } catch {
    // Its name says what it is; a server that cannot draw says so beside the preview.
  }
}
