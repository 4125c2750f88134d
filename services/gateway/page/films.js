// The films so far, newest first, a page at a time; those under way go on while one looks.

import { api } from "./api.js";
import { calm, clock, h, icon, many, seconds } from "./dom.js";
import { OVER, stateName } from "./telling.js";

const PAGE = 24;
const LOOK_MS = 3000;
const STILL_PX = 270;
const LINGER_MS = 350;
const STATES = ["", "rendering", "completed", "failed", "rejected", "cancelled"];

export async function filmsView(main) {
  const presets = await api.presets();
  const view = new Films(presets);
  // What goes wrong at first is the page's to tell, and to try again.
  view.put(await api.jobs(view.query()));
  view.press();
  view.watch();
  main.replaceChildren(view.element);
  return () => view.close();
}

class Films {
  constructor(presets) {
    this.presets = presets;
    this.cards = new Map();
    this.state = "";
    this.list = h("ul", { class: "films", "aria-label": "Films, newest first" });
    this.more = h("button", { type: "button", class: "older", hidden: true, onclick: () => this.older() },
      "Show older films");
    this.empty = h("div", { class: "blank", hidden: true });
    this.wrong = h("p", { class: "error", role: "alert" });
    this.count = h("p", { class: "soft", role: "status" });
    this.look = h("select", { "aria-label": "Look", onchange: () => this.start() },
      h("option", { value: "" }, "All looks"),
      ...presets.map((preset) => h("option", { value: preset.preset_id }, preset.title)));
    this.states = h("div", { class: "chips", role: "group", "aria-label": "State" },
      ...STATES.map((state) => h("button", { type: "button", class: "chip", "data-state": state,
        onclick: () => { this.state = state; this.start(); } }, state ? stateName(state) : "All")));
    this.begin = h("a", { class: "button primary", href: "#/make" }, icon("plus"), "Make a film");
    this.filters = h("div", { class: "filters" }, this.states, this.look);
    this.element = h("div", { class: "filmed" },
      h("header", { class: "lead" }, h("div", {}, h("h1", {}, "Films"), this.count),
        this.begin),
      this.filters, this.wrong, this.list, this.empty, this.more);
    this.turn = 0;
  }

  watch() {
    this.timer = setInterval(() => this.again(), LOOK_MS);
  }

  press() {
    for (const chip of this.states.children) {
      chip.setAttribute("aria-pressed", String(chip.dataset.state === this.state));
    }
  }

  query(after) {
    const query = { limit: PAGE };
    if (after) query.after = after;
    if (this.state) query.status = this.state;
    if (this.look.value) query.preset_id = this.look.value;
    return query;
  }

  async start() {
    const turn = ++this.turn;
    this.press();
    this.list.classList.add("old");
    await this.told(async () => {
      const found = await api.jobs(this.query());
      if (turn !== this.turn) return;
      this.cards.clear();
      this.list.replaceChildren();
      this.put(found);
    });
    this.list.classList.remove("old");
  }

  async older() {
    const turn = this.turn;
    const first = this.list.children.length;
    this.more.disabled = true;
    await this.told(async () => {
      const found = await api.jobs(this.query(this.after));
      if (turn === this.turn) this.put(found);
    });
    this.more.disabled = false;
    this.list.children[first]?.querySelector("a").focus({ preventScroll: true });
  }

  async told(action) {
    this.wrong.textContent = "";
    try {
      await action();
    } catch (problem) {
      this.wrong.textContent = problem.message;
    }
  }

  put({ jobs, after }) {
    for (const job of jobs) {
      const card = this.card(job);
      this.cards.set(job.job_id, { card, job });
      this.list.append(card);
    }
    this.after = after;
    this.more.hidden = after === null;
    this.tally();
  }

  tally() {
    const none = !this.list.children.length;
    const filtered = Boolean(this.state || this.look.value);
    this.empty.hidden = !none;
    this.filters.hidden = none && !filtered;
    this.begin.hidden = this.filters.hidden;
    this.count.textContent = none ? "" : `${many(this.list.children.length, "film")}${this.after === null ? "" : ", and older ones"}, newest first`;
    if (none) this.empty.replaceChildren(...(filtered ? unfound(() => this.clear()) : nothing(this.presets)));
  }

  clear() {
    this.state = "";
    this.look.value = "";
    this.start();
    this.states.firstChild.focus();
  }

  // Those under way, as they are now; what is new comes in front.
  async again() {
    const live = [...this.cards.values()].filter(({ job }) => !OVER.includes(job.status));
    if (!live.length || document.hidden) return;
    const turn = this.turn;
    let found;
    try {
      found = (await api.jobs(this.query())).jobs;
    } catch {
      return;  // It is asked again in a moment; what is shown stays.
    }
    if (turn !== this.turn) return;
    for (const job of [...found].reverse()) this.place(job);
    const there = new Set(found.map((job) => job.job_id));
    for (const { job } of live) if (!there.has(job.job_id)) await this.missed(job, turn);
    this.tally();
  }

  // One that was under way and is not among the newest of its kind any more.
  async missed(before, turn) {
    const job = await api.job(before.job_id).catch(() => null);
    if (!job || turn !== this.turn) return;
    if (this.state && job.status !== this.state) {
      this.cards.get(before.job_id).card.remove();
      this.cards.delete(before.job_id);
      return;
    }
    const { status, output } = job;
    const done = job.segments.filter((segment) => segment.status === "rendered").length;
    this.place({ ...before, status, output, segments: job.segments.length, segments_rendered: done });
  }

  // A card anew where something has changed; one that is new in front.
  place(job) {
    const known = this.cards.get(job.job_id);
    if (known && JSON.stringify(known.job) === JSON.stringify(job)) return;
    const card = this.card(job);
    if (known) {
      const focused = known.card.contains(document.activeElement);
      known.card.replaceWith(card);
      if (focused) card.querySelector("a").focus({ preventScroll: true });
    } else this.list.prepend(card);
    this.cards.set(job.job_id, { card, job });
  }

  card(job) {
    const title = job.title || "A film without words";
    const live = !OVER.includes(job.status);
    const share = job.segments ? job.segments_rendered / job.segments : 0;
    const look = this.presets.find((preset) => preset.preset_id === job.preset_id)?.title || job.preset_id;
    const picture = h("span", { class: "cover" }, icon(live || job.output ? "film" : "alert"),
      job.output ? h("img", { src: api.thumbnail(job.job_id), alt: "", loading: "lazy" })
        : job.segments > 0 && h("img", { class: live ? "" : "undone", src: api.still(job.job_id, 15, STILL_PX), alt: "", loading: "lazy",
          onerror: (event) => event.target.remove() }),
      live && h("progress", { max: 1, value: share, "aria-label": "How far it is" }),
      job.status !== "completed" && h("span", { class: `state ${job.status}` }, stateName(job.status)));
    const link = h("a", { href: `#/film/${encodeURIComponent(job.job_id)}` }, picture,
      h("strong", { dir: "auto", title }, title),
      h("small", {}, look),
      h("small", {}, [job.seconds && seconds(job.seconds), clock(job.requested)].filter(Boolean).join(" · ")),
      job.status === "completed" && h("span", { class: "hidden" }, stateName(job.status)));
    if (job.output) moving(link, picture, job.job_id);
    return h("li", {}, link);
  }

  close() {
    clearInterval(this.timer);
    this.turn = -1;
  }
}

// Whoever lingers on a film sees it move.
function moving(link, picture, id) {
  let timer = 0;
  link.addEventListener("mouseenter", () => {
    if (calm()) return;
    timer = setTimeout(() => {
      const film = h("video", { src: api.output(id), loop: true, playsInline: true, muted: true, "aria-hidden": "true" });
      film.addEventListener("playing", () => film.classList.add("on"));
      picture.append(film);
      film.play().catch(() => film.remove());
    }, LINGER_MS);
  });
  link.addEventListener("mouseleave", () => {
    clearTimeout(timer);
    picture.querySelector("video")?.remove();
  });
}

function nothing(presets) {
  const shown = ["overlay_glow", "overlay_classic", "meme_smooth"].filter((id) =>
    presets.some((preset) => preset.preset_id === id));
  return [h("div", { class: "fan", "aria-hidden": "true" }, ...shown.map((id) => h("video", {
    src: `/page/samples/${id}.mp4#t=1`, preload: "metadata", playsInline: true, tabindex: "-1" }))),
  h("h2", {}, "No film yet"),
    h("p", { class: "soft" }, "What you make is kept here, with every step of how it came about."),
    h("a", { class: "button primary", href: "#/make" }, "Make the first one")];
}

function unfound(clear) {
  return [icon("film"), h("h2", {}, "No such film"),
    h("p", { class: "soft" }, "None of the films so far is of this state and look."),
    h("button", { type: "button", onclick: clear }, "Show all films")];
}
