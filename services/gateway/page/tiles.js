// The segments: a tile each, that fills from below as its segment is drawn.

import { api } from "./api.js";
import { calm, h, icon } from "./dom.js";
import { OVER, reasons, segmentName } from "./telling.js";

const STILL_PX = 180;

export class Tiles {
  constructor(id) {
    this.id = id;
    this.element = h("ol", { class: "tiles", "aria-label": "Segments" });
    this.shares = new Map();
  }

  // How much of a segment is drawn, 0 to 1.
  advance(segment, share) {
    this.shares.set(segment, share);
    const tile = this.element.children[segment];
    if (tile?.dataset.state === "requested") fill(tile, share);
  }

  // What its engine sees so far.
  preview(segment, url) {
    const tile = this.element.children[segment];
    if (tile?.dataset.state !== "requested" || !url.startsWith("data:image/")) return;
    const place = tile.querySelector(".picture");
    const seen = place.querySelector(".preview")
      || place.appendChild(h("img", { class: "preview", alt: "" }));
    seen.src = url;
  }

  share(segment) {
    return segment.status === "rendered" ? 1
      : segment.status === "requested" ? this.shares.get(segment.index) || 0 : 0;
  }

  render(job, plan) {
    while (this.element.children.length > job.segments.length) this.element.lastChild.remove();
    job.segments.forEach((segment, at) => {
      if (!this.element.children[at]) this.element.append(tile(at));
      this.set(this.element.children[at], segment, job, plan?.segments[at]);
    });
  }

  set(element, segment, job, planned) {
    const { status, attempts } = segment;
    const steps = job.downgrades.filter((one) => one.segment === segment.index || one.segment === null);
    const doubt = segment.generation?.in_doubt;
    if (element.dataset.state === "requested" && status !== "requested") this.shares.delete(segment.index);
    const over = OVER.includes(job.status);
    element.dataset.state = doubt ? "doubt" : over && status !== "rendered" ? "pending" : status;
    text(element, ".status", doubt ? "needs your word" : segmentName(status, over));
    text(element, ".engine", status === "pending" ? "" : segment.engine);
    text(element, ".more", [attempts > 1 && `attempt ${attempts}`, segment.reused && "reused"]
      .filter(Boolean).join(" · "));
    text(element, ".down", steps.length ? `instead of ${steps[0].from_rung.engine === segment.engine
      ? "as planned" : steps[0].from_rung.engine}` : "");
    text(element, ".why", segment.failure && !doubt ? reasons(segment.failure) : "");
    this.picture(element, segment, planned);
    fill(element, this.share(segment));
  }

  // Its own body once it is drawn; before that the frame that it will have.
  picture(element, segment, planned) {
    const place = element.querySelector(".picture");
    const shown = segment.status === "rendered" ? `body ${segment.attempts}`
      : segment.status === "pending" || !planned ? "" : `still ${segment.engine}`;
    if (place.dataset.shown === shown) return;
    place.dataset.shown = shown;
    if (!shown) place.replaceChildren();
    else if (segment.status === "rendered") place.replaceChildren(body(this.id, segment.index));
    else {
      const n = planned.start + Math.floor(planned.frames / 2);
      const still = (kind) => h("img", { class: kind, alt: "", src: api.still(this.id, n, STILL_PX),
        onerror: (event) => event.target.remove() });
      place.replaceChildren(still("ahead"), still("made"));
    }
  }
}

function tile(at) {
  return h("li", {}, h("div", { class: "picture" }),
    h("p", { class: "line" }, h("strong", {}, `${at + 1}`), " ", h("span", { class: "status" })),
    ...["engine", "more", "down", "why"].map((kind) => h("p", { class: kind, hidden: true })));
}

function text(element, kind, words) {
  const place = element.querySelector(kind);
  if (place.textContent === words) return;
  place.textContent = words;
  place.hidden = !words;
}

function fill(element, share) {
  element.style.setProperty("--done", `${Math.round(100 * share)}%`);
}

function body(id, index) {
  const film = h("video", { src: `${api.body(id, index)}#t=0.5`, playsInline: true, loop: true,
    preload: "metadata", muted: true, "aria-hidden": "true", tabindex: "-1" });
  film.addEventListener("error", () => film.replaceWith(icon("film")));
  const play = () => { if (!calm()) film.play().catch(() => {}); };
  film.addEventListener("mouseenter", play);
  film.addEventListener("mouseleave", () => film.pause());
  film.addEventListener("click", () => { if (film.paused) play(); else film.pause(); });
  return film;
}
