// One film: its segments as tiles that fill, its log beside them, the film when it is there,
// and every step of its past.

import { api } from "./api.js";
import { calm, clock, h, say, seconds } from "./dom.js";

const OVER = ["completed", "failed", "rejected", "cancelled"];

export async function filmView(main, id) {
  const view = new Film(id);
  main.replaceChildren(view.element);
  await view.refresh();
  const stop = view.follow();
  return stop;
}

class Film {
  constructor(id) {
    this.id = id;
    this.events = [];
    this.progress = new Map();
    this.at = null;
    this.shown = "";
    this.title = h("h1", { dir: "auto" }, id);
    this.state = h("span", { class: "state", role: "status", "aria-live": "polite" });
    this.cancel = h("button", { type: "button", class: "quiet",
      onclick: () => this.stop() }, "Stop it");
    this.lost = h("p", { class: "notice lost", role: "status", hidden: true });
    this.bar = h("progress", { max: 1, value: 0, "aria-label": "How far the film is" });
    this.player = h("div", { class: "player" });
    this.tiles = h("ol", { class: "tiles", "aria-label": "Segments" });
    this.notes = h("div", { class: "notes", role: "status", "aria-live": "polite" });
    this.log = h("ol", { class: "log", "aria-label": "What happened", tabindex: "0" });
    this.when = h("input", { type: "range", min: "0", max: "0", value: "0",
      "aria-label": "Step through the film's history", oninput: () => this.travel() });
    this.moment = h("output", {}, "now");
    this.live = h("button", { type: "button", class: "quiet", hidden: true,
      onclick: () => this.now() }, "Back to now");
    this.element = h("div", { class: "film" },
      h("div", { class: "head" }, this.title, this.state, this.cancel),
      this.lost,
      this.bar,
      h("div", { class: "columns watching" },
        this.player,
        h("section", { "aria-label": "How it is made" }, this.notes, h("h2", {}, "Segments"),
          this.tiles),
        h("aside", { "aria-label": "History" },
          h("h2", {}, "History"),
          h("div", { class: "scrub" }, this.when, this.moment, this.live),
          this.log)));
  }

  async refresh() {
    const job = await api.job(this.id, this.at);
    this.render(job);
  }

  // Events come in bursts: the state is asked for once for all of them.
  soon() {
    this.pending ??= setTimeout(async () => {
      this.pending = null;
      if (this.at === null) await this.refresh().catch(() => {});
    }, 120);
  }

  follow() {
    const close = api.follow(this.id, {
      onEvent: (event) => { this.add(event); this.soon(); },
      onProgress: (told) => this.advance(told),
      onEnd: () => { this.away(false); this.soon(); },
      onLost: () => this.away(true),
      onBack: () => { this.away(false); this.soon(); },
    });
    return () => { close(); clearTimeout(this.pending); };
  }

  away(lost) {
    if (this.lost.hidden !== lost) return;
    this.lost.hidden = !lost;
    this.lost.textContent = lost
      ? "The server does not answer. What it was asked for is kept; this page goes on as soon as it is back." : "";
  }

  add(event) {
    if (this.events.some((known) => known.seq === event.seq)) return;
    this.events.push(event);
    if (event.type === "render_requested") this.name(event.data);
    const step = this.events.length;
    this.when.max = String(step);
    if (this.at === null) this.when.value = String(step);
    this.log.append(h("li", { "data-seq": String(event.seq), class: event.type },
      h("button", { type: "button", onclick: () => { this.when.value = String(step); this.travel(); } },
        h("time", {}, event.time.slice(11, 19)), " ", h("strong", {}, event.type.replaceAll("_", " ")),
        " ", h("span", {}, brief(event.data)))));
    if (this.at === null) this.log.scrollTop = this.log.scrollHeight;
  }

  name(ask) {
    const words = ask.hook || ask.prompt || ask.preset_id;
    if (typeof words !== "string") return;
    const shown = words || this.id;
    this.title.replaceChildren(shown.length > 80 ? `${shown.slice(0, 79)}…` : shown,
      h("small", { class: "id", dir: "ltr" }, this.id));
    document.title = `${words.slice(0, 40)} · Pytoon`;
  }

  async travel() {
    const step = Number(this.when.value);
    if (step >= this.events.length) return this.now();
    const event = this.events[Math.max(0, step - 1)];
    this.at = event.seq;
    this.live.hidden = false;
    this.moment.textContent = `after step ${Math.max(1, step)} of ${this.events.length}, ${clock(event.time)}`;
    for (const row of this.log.children) {
      row.toggleAttribute("data-later", Number(row.dataset.seq) > event.seq);
    }
    return this.refresh();
  }

  async now() {
    this.at = null;
    this.live.hidden = true;
    this.moment.textContent = "now";
    this.when.value = this.when.max;
    for (const row of this.log.children) row.removeAttribute("data-later");
    return this.refresh();
  }

  async stop() {
    this.cancel.disabled = true;
    await api.cancel(this.id).catch((problem) => {
      this.cancel.disabled = false;
      say(this.notes, h("p", { class: "error" }, problem.message));
    });
  }

  advance(told) {
    if (told.segment === undefined || !told.frames) return;
    this.progress.set(told.segment, told.frames_done / told.frames);
    const tile = this.tiles.children[told.segment];
    if (tile && this.at === null) {
      tile.style.setProperty("--done", `${Math.round(100 * told.frames_done / told.frames)}%`);
    }
    this.measure();
  }

  measure(job = this.job) {
    if (!job) return;
    const parts = job.segments.map((one) => one.status === "rendered" ? 1 : this.progress.get(one.index) || 0);
    const rendered = parts.length ? parts.reduce((a, b) => a + b, 0) / parts.length : 0;
    this.bar.value = job.status === "completed" ? 1 : 0.02 + 0.93 * rendered;
    this.bar.hidden = OVER.includes(job.status);
  }

  render(job) {
    this.job = job;
    say(this.state, job.status);
    this.state.className = `state ${job.status}`;
    this.cancel.hidden = OVER.includes(job.status) || this.at !== null;
    this.measure(job);
    this.fill(job);
    this.show(job);
    say(this.notes,
      ...job.end ? [h("p", { class: "error" }, ended(job.end))] : [],
      ...job.problems.map((one) => h("p", { class: "error" }, one.message)),
      ...job.downgrades.map((one) => h("p", { class: "warning" },
        `${one.segment === null ? "The film" : `Segment ${one.segment + 1}`} went from ${rung(one.from_rung)} to ${rung(one.to_rung)} (${one.reason}${one.detail ? `: ${one.detail}` : ""})`)),
      ...job.warnings.map((one) => h("p", { class: "warning" }, one.message)),
      ...job.status === "rejected" || job.status === "failed"
        ? [h("p", {}, h("a", { href: "#/make" }, "Change it and try again"))] : []);
  }

  fill(job) {
    while (this.tiles.children.length > job.segments.length) this.tiles.lastChild.remove();
    job.segments.forEach((segment, at) => {
      let tile = this.tiles.children[at];
      if (!tile) {
        tile = h("li", {}, h("div", { class: "picture" }), h("strong", {}),
          h("span", { class: "what" }), h("span", { class: "warning" }));
        this.tiles.append(tile);
      }
      tile.className = segment.status;
      tile.querySelector("strong").textContent = `${at + 1} · ${segment.status}`;
      tile.querySelector(".what").textContent = segment.status === "pending" ? ""
        : [segment.engine, segment.attempts > 1 && `attempt ${segment.attempts}`,
          segment.reused && "reused"].filter(Boolean).join(" · ");
      const steps = job.downgrades.filter((one) => one.segment === at).length;
      tile.querySelector(".warning").textContent =
        [segment.failure, steps && "downgraded"].filter(Boolean).join(" · ");
      if (segment.status !== "rendered") {
        tile.querySelector(".picture").replaceChildren();
        tile.dataset.body = "";
      } else if (tile.dataset.body !== String(segment.attempts)) {
        tile.dataset.body = String(segment.attempts);
        const clip = h("video", { src: api.body(this.id, at), playsInline: true, loop: true,
          preload: "metadata", "aria-label": `Segment ${at + 1}` });
        clip.muted = true;
        clip.addEventListener("mouseenter", () => { if (!calm()) clip.play().catch(() => {}); });
        clip.addEventListener("mouseleave", () => clip.pause());
        clip.addEventListener("error", () => clip.remove());
        tile.querySelector(".picture").replaceChildren(clip);
        tile.style.setProperty("--done", "100%");
      }
    });
  }

  show(job) {
    const film = job.status === "completed" ? job.sha256 : "";
    const first = job.segments.find((one) => one.status === "rendered");
    const shown = film || (first ? `${first.index} ${first.attempts}` : job.status);
    if (shown === this.shown) return;
    this.shown = shown;
    if (film) this.player.replaceChildren(...this.finished(film));
    else if (first) this.player.replaceChildren(...this.early(first));
    else {
      const why = OVER.includes(job.status) ? `There is no film: it is ${job.status}.`
        : "The first segment shows here as soon as it is drawn.";
      this.player.replaceChildren(h("div", { class: "waiting" }, h("p", {}, why)));
    }
  }

  finished(film) {
    const video = h("video", { src: api.output(this.id), poster: api.thumbnail(this.id),
      controls: true, playsInline: true, preload: "metadata", "aria-label": "The film" });
    const told = h("span", { role: "status" });
    return [video, h("div", { class: "actions" },
      h("a", { class: "button primary", href: api.output(this.id), download: `${this.id}.mp4` }, "Download"),
      h("button", { type: "button", onclick: () => copy(told) }, "Copy link"),
      told),
    h("small", { class: "sha" }, `sha256 ${film.slice(0, 16)}…`)];
  }

  early(segment) {
    const clip = h("video", { src: api.body(this.id, segment.index), loop: true, playsInline: true,
      autoplay: !calm(), controls: calm(), "aria-label": `Segment ${segment.index + 1}` });
    clip.muted = true;
    return [clip, h("p", { class: "hint" }, `Segment ${segment.index + 1}; the others follow.`)];
  }
}

// The address of this page; without a clipboard (a page that is not secure has none) it is shown.
async function copy(told) {
  try {
    await navigator.clipboard.writeText(location.href);
    told.textContent = "Copied";
  } catch {
    const field = h("input", { type: "text", readOnly: true, value: location.href,
      "aria-label": "Link to this page" });
    told.replaceChildren(field);
    field.select();
  }
}

function rung(one) {
  return `${one.engine} ${one.still ? "still " : ""}${one.archetype}`;
}

function ended(reason) {
  return reason.startsWith("cancelled") ? "It was stopped before it was done." : reason;
}

function brief(data) {
  const words = [];
  if (data.segment !== undefined && data.segment !== null) words.push(`segment ${data.segment + 1}`);
  if (data.rung) words.push(data.rung.engine);
  if (data.attempt > 1) words.push(`attempt ${data.attempt}`);
  if (data.reason) words.push(data.reason);
  if (data.detail) words.push(data.detail);
  if (data.elapsed_s) words.push(seconds(data.elapsed_s));
  return words.join(" · ");
}
