// The frame as the film will have it: drawn by the server with what draws the film, so that place,
// size and line ends of the words are the film's own.  Over it lies what apps cover.

import { api } from "./api.js";
import { h, icon, seconds, svg } from "./dom.js";

const WIDTH = 1080;
const HEIGHT = 1920;
const SAFE = { x: 120, y: 288, width: 768, height: 960 };
const KEPT_MAX = 48;
// Of the film's length: what stands shorter has no room for its name.
const NAMED_FROM = 0.13;
const NAMES = { hook: "Hook", beat: "Line", cta: "CTA" };

export class Preview {
  constructor() {
    this.image = h("img", { class: "frame", alt: "", width: 540, height: 960, hidden: true });
    this.over = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "apps", "aria-hidden": "true" });
    this.note = h("p", { class: "note", role: "status" });
    this.screen = h("div", { class: "screen" }, this.image, this.over,
      h("p", { class: "invite" }, "Your picture and your words keep to this box"), this.note,
      h("span", { class: "spin", "aria-hidden": "true" }));
    this.time = h("input", { type: "range", min: "0", max: "0", value: "0", disabled: true,
      "aria-label": "Moment of the film", oninput: () => { this.onscrub?.(); this.draw(); } });
    this.track = h("div", { class: "track", "aria-hidden": "true" });
    this.told = h("output", {});
    this.zones = h("input", { type: "checkbox", role: "switch", checked: true,
      onchange: () => { this.over.toggleAttribute("hidden", !this.zones.checked); } });
    this.element = h("div", { class: "preview" },
      h("div", { class: "phone" }, this.screen),
      h("div", { class: "strip" }, this.track, this.time, this.told),
      h("label", { class: "switch" }, this.zones, icon("eye"), h("span", {}, "Show what apps cover")));
    this.frames = new Map();
    this.ask = null;
    this.plan = null;
    this.cover(SAFE);
  }

  // Another film: its plan, and the request that it is drawn from; `held` is the caption to stay at.
  show(ask, plan, held) {
    this.forget();
    const fresh = this.plan?.frames !== plan.frames;
    Object.assign(this, { ask, plan });
    this.time.disabled = false;
    this.time.max = String(plan.frames - 1);
    this.time.step = String(Math.max(1, Math.round(plan.fps / 10)));
    if (fresh) this.time.value = String(Math.min(plan.frames - 1, Math.round(plan.fps * 1.5)));
    this.cover(plan.style.safe_box);
    this.lay();
    if (!held || !this.to(...held)) this.draw();
  }

  // Nothing can be drawn of what is asked for now: what was drawn last stays, faintly.
  stale(words = "") {
    this.stop?.abort();
    this.screen.classList.remove("busy");
    this.screen.classList.add("stale");
    this.note.textContent = words;
  }

  busy() {
    this.screen.classList.add("busy");
  }

  // Goes to where a caption stands; false if the film has none such.
  to(role, text) {
    const card = this.plan?.captions.find((one) => one.role === role && one.text === text)?.cards[0];
    if (!card) return false;
    const n = Number(this.time.value);
    // Whoever is within it stays: the words come and go at its edges.
    if (n <= card.start || card.start + card.frames - 1 <= n) {
      this.time.value = String(card.start + Math.round(card.frames / 2));
    }
    this.draw();
    return true;
  }

  lay() {
    const share = (frames) => `${100 * frames / this.plan.frames}%`;
    this.track.replaceChildren(
      ...this.plan.segments.slice(1).map((one) => {
        const edge = h("i", {});
        edge.style.left = share(one.start);
        return edge;
      }),
      ...this.plan.captions.flatMap((caption) => caption.cards.map((card, at) => {
        const named = at === 0 && card.frames > NAMED_FROM * this.plan.frames;
        const block = h("span", { class: caption.role }, named ? NAMES[caption.role] : "");
        block.style.left = share(card.start);
        block.style.width = share(card.frames);
        return block;
      })));
  }

  words(n) {
    const cards = this.plan.captions.flatMap((caption) => caption.cards);
    const card = cards.find((one) => one.start <= n && n < one.start + one.frames);
    return card ? card.lines.join(" ") : "";
  }

  async draw() {
    if (!this.plan) return;
    const n = Number(this.time.value);
    const words = this.words(n);
    const at = seconds(Math.round(10 * n / this.plan.fps) / 10);
    this.told.textContent = at;
    this.time.setAttribute("aria-valuetext", words ? `${at}: ${words}` : `${at}: no words`);
    if (this.drawing) {
      this.again = true;
      return;
    }
    this.drawing = true;
    const ask = this.ask;
    try {
      const url = await this.frame(n);
      if (ask === this.ask) await this.put(url, words ? `The frame at ${at}. Words: ${words}` : `The frame at ${at}`);
    } catch (problem) {
      if (problem.name !== "AbortError" && ask === this.ask) {
        this.stale(problem.status === 501 ? "This server cannot draw frames; the film will have them." : problem.message);
      }
    }
    this.drawing = false;
    if (this.again || ask !== this.ask) {
      this.again = false;
      this.draw();
    }
  }

  async frame(n) {
    if (this.frames.has(n)) return this.frames.get(n);
    const frames = this.frames;
    this.busy();
    this.stop = new AbortController();
    const url = URL.createObjectURL(await api.frame(this.ask, n, this.stop.signal));
    frames.set(n, url);
    if (frames.size > KEPT_MAX) {
      const [oldest, gone] = frames.entries().next().value;
      frames.delete(oldest);
      URL.revokeObjectURL(gone);
    }
    return url;
  }

  async put(url, told) {
    const fresh = new Image();
    fresh.src = url;
    await fresh.decode();
    const before = this.image.getAttribute("src");
    this.image.src = url;
    if (before && ![...this.frames.values()].includes(before)) URL.revokeObjectURL(before);
    this.image.alt = told;
    this.image.hidden = false;
    this.note.textContent = "";
    this.screen.classList.remove("busy", "stale");
    this.onframe?.(url);
  }

  // What the apps lay over a film: shaded, with the outlines of their buttons and words.
  cover(box) {
    const { x, y, width, height } = box;
    const [right, bottom] = [x + width, y + height];
    const rail = (right + WIDTH) / 2;
    const shape = (tag, given) => svg(tag, { class: "ui", ...given });
    const bar = (left, top, wide, high = 26) =>
      shape("rect", { x: left, y: top, width: wide, height: high, rx: high / 2 });
    const buttons = [0, 1, 2, 3].flatMap((at) => [
      shape("circle", { cx: rail, cy: bottom - 470 + at * 190, r: 46 }),
      bar(rail - 34, bottom - 470 + at * 190 + 62, 68, 18)]);
    this.over.replaceChildren(
      svg("path", { class: "zone", "fill-rule": "evenodd",
        d: `M0 0H${WIDTH}V${HEIGHT}H0ZM${x} ${y}v${height}h${width}v${-height}Z` }),
      svg("rect", { class: "edge dark", x, y, width, height, rx: 8 }),
      svg("rect", { class: "edge", x, y, width, height, rx: 8 }),
      bar(x + width / 2 - 250, 150, 200, 30), bar(x + width / 2 + 50, 150, 200, 30), ...buttons,
      shape("circle", { cx: 102, cy: bottom + 150, r: 54 }), bar(186, bottom + 132, 320, 34),
      bar(48, bottom + 250, 680), bar(48, bottom + 306, 520), bar(48, bottom + 380, 400),
      bar(0, HEIGHT - 170, WIDTH, 5), ...[0, 1, 2, 3, 4].map((at) =>
        shape("circle", { cx: 108 + at * 216, cy: HEIGHT - 86, r: 34 })));
  }

  forget() {
    this.stop?.abort();
    const shown = this.image.getAttribute("src");
    for (const url of this.frames.values()) if (url !== shown) URL.revokeObjectURL(url);
    this.frames = new Map();
  }

  close() {
    this.forget();
    this.ask = this.plan = null;
  }
}
