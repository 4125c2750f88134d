// One film: its segments as tiles that fill, its log beside them, the film when it is there,
// and every step of its past.

import { RETRY_MS, api } from "./api.js";
import { bytes, calm, clock, copy, h, icon, moment, say, seconds, sentence } from "./dom.js";
import { History } from "./history.js";
import { OVER, downgrades, ending, fieldName, stateName, wording } from "./telling.js";
import { Tiles } from "./tiles.js";

const STILL_PX = 540;
const TITLE_CHARS_MAX = 120;
// Of the bar: planning, the segments, joining.
const [PLANNED, DRAWN] = [0.03, 0.92];
// Before this much is done a guess at the rest is none.
const GUESSED_FROM = 0.12;

export async function filmView(main, id = "", step = "") {
  const [presets, job, events] = await Promise.all([api.presets(), api.job(id), api.events(id)]);
  const view = new Film(id, presets);
  main.replaceChildren(view.element);
  events.forEach((event) => view.add(event));
  view.render(job);
  const back = Number(step);
  if (back >= 1 && back < events.length) view.history.go(back);
  return view.follow(events.at(-1)?.seq || 0);
}

class Film {
  constructor(id, presets) {
    Object.assign(this, { id, presets, asked: null, plan: null, at: null, turn: 0, shown: "", joined: 0 });
    this.title = h("h1", { dir: "auto", tabindex: "-1" }, id);
    this.meta = h("p", { class: "soft meta" });
    this.state = h("span", { class: "state", role: "status" });
    this.actions = h("div", { class: "actions" });
    this.told = h("span", { class: "soft", role: "status" });
    this.lost = h("p", { class: "notice lost", role: "status", hidden: true });
    this.past = h("div", { class: "notice past", hidden: true });
    this.bar = h("progress", { max: 1, value: 0, "aria-label": "How far the film is" });
    this.percent = h("strong", {});
    this.doing = h("span", { class: "soft" });
    this.going = h("div", { class: "going", hidden: true },
      h("p", {}, this.percent, this.doing), this.bar);
    this.player = h("div", { class: "player" });
    this.facts = h("p", { class: "soft facts" });
    this.notes = h("div", { class: "remarks", role: "status" });
    this.tiles = new Tiles(id);
    this.history = new History((event) => this.travel(event));
    this.segments = h("section", { "aria-labelledby": "segments-title" },
      h("h2", { id: "segments-title" }, "Segments"), this.tiles.element);
    this.element = h("div", { class: "film" },
      h("header", { class: "head" },
        h("div", { class: "names" }, h("p", { class: "crumb" }, h("a", { href: "#/films" }, icon("left"), "Films")),
          h("div", { class: "named" }, this.title, this.state), this.meta),
        this.actions),
      this.lost,
      h("div", { class: "watching" },
        h("div", { class: "standing" }, this.past, this.going),
        h("div", { class: "stage" }, this.player, this.facts),
        h("div", { class: "middle" }, this.notes, this.segments),
        this.history.element));
  }

  // Events come in bursts: the state is asked for once for all of them.
  soon(wait = 120) {
    this.pending ??= setTimeout(() => {
      this.pending = null;
      this.refresh();
    }, wait);
  }

  async refresh() {
    const turn = ++this.turn;
    try {
      const job = await api.job(this.id, this.at);
      if (turn !== this.turn) return;
      this.away(false);
      this.render(job);
    } catch (problem) {
      if (problem.passing) {
        this.away(true);
        this.soon(RETRY_MS);
      } else say(this.notes, h("p", { class: "error" }, icon("alert"), problem.message));
    }
  }

  follow(last) {
    const close = api.follow(this.id, last, {
      onEvent: (event) => { if (this.add(event) && this.at === null) this.soon(); },
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
    this.lost.replaceChildren(...(lost ? [h("span", { class: "spin" }),
      "The server does not answer. What it was asked for is kept; this page goes on as soon as it is back."] : []));
  }

  add(event) {
    if (!this.history.add(event)) return false;
    if (event.type === "render_requested" && !this.asked) this.name(event);
    if (event.type === "render_planned" && !this.plan) this.plan = event.data.spec;
    return true;
  }

  name({ data, time }) {
    this.asked = data;
    const text = [data.hook, data.prompt].find((words) => typeof words === "string" && words.trim());
    const shown = text?.trim() || "A film without words";
    this.title.textContent = shown.length > TITLE_CHARS_MAX ? `${shown.slice(0, TITLE_CHARS_MAX - 1)}…` : shown;
    document.title = `${shown.slice(0, 40)} · Pytoon`;
    const look = this.presets.find((preset) => preset.preset_id === data.preset_id)?.title || data.preset_id;
    const length = Number(data.target_duration_seconds);
    this.meta.replaceChildren([look, length && seconds(length), data.draft && "draft", clock(time)]
      .filter(Boolean).join(" · "), h("span", { class: "dot" }, " · "), h("code", { title: "The film's id" }, this.id));
  }

  async travel(event) {
    this.at = event ? event.seq : null;
    const step = this.history.at;
    history.replaceState(null, "", `#/film/${encodeURIComponent(this.id)}${step ? `/${step}` : ""}`);
    this.past.hidden = !event;
    this.element.classList.toggle("looking-back", Boolean(event));
    if (event) {
      say(this.past, h("span", {}, h("strong", {}, `As it was at ${moment(event.time)}`),
        `, after step ${step} of ${this.history.events.length}`),
      h("button", { type: "button", onclick: () => this.history.go(Infinity) }, "Back to now"));
    }
    await this.refresh();
  }

  async stop() {
    this.stopping = true;
    this.act(this.job);
    await api.cancel(this.id).catch((problem) => {
      this.stopping = false;
      this.act(this.job);
      say(this.told, problem.message);
    });
  }

  advance(told) {
    if (told.assembling) this.joined = told.frames ? told.frames_done / told.frames : 0;
    else if (told.segment !== undefined && told.frames) this.tiles.advance(told.segment, told.frames_done / told.frames);
    if (told.segment !== undefined && told.preview) this.tiles.preview(told.segment, told.preview);
    if (this.at === null) this.measure();
  }

  share() {
    const { job } = this;
    if (job.status === "completed") return 1;
    if (!job.segments.length) return 0;
    if (job.status === "assembling") return DRAWN + (1 - DRAWN) * this.joined;
    const frames = job.segments.map((one) => this.plan?.segments[one.index]?.frames || 1);
    const all = frames.reduce((sum, count) => sum + count, 0);
    const done = job.segments.reduce((sum, one, at) => sum + frames[at] * this.tiles.share(one), 0);
    return PLANNED + (DRAWN - PLANNED) * done / all;
  }

  measure() {
    if (!this.job) return;
    const share = this.share();
    const percent = `${Math.round(100 * share)} %`;
    this.bar.value = share;
    this.percent.textContent = percent;
    this.doing.textContent = this.doingWhat(share);
  }

  doingWhat(share) {
    const { segments, status } = this.job;
    const drawn = segments.filter((one) => one.status === "rendered").length;
    const doing = status === "requested" || !segments.length ? "Planning"
      : status === "assembling" ? "Joining the segments and the sound"
        : `${drawn} of ${segments.length} segments drawn`;
    const begun = this.history.events.find((event) => event.type === "segment_requested");
    if (this.at !== null || !begun || share < GUESSED_FROM || status !== "rendering"
      || segments.some((one) => one.generation?.in_doubt)) return doing;
    const passed = (Date.now() - Date.parse(begun.time)) / 1000;
    const left = passed * (1 - share) / Math.max(share - PLANNED, 0.01);
    return left > 3600 || left < 0 ? doing : `${doing} · about ${roughly(left)} left`;
  }

  render(job) {
    this.job = job;
    say(this.state, stateName(job.status));
    this.state.className = `state ${job.status}`;
    this.going.hidden = OVER.includes(job.status);
    // Frames are drawn one after the other, and this one is the largest.
    this.show(job);
    this.tiles.render(job, this.plan);
    this.segments.hidden = !job.segments.length;
    this.measure();
    this.act(job);
    this.tell(job);
  }

  act(job) {
    const done = job.status === "completed";
    const stopping = Boolean(this.stopping) || job.status === "cancelling";
    const key = [job.status, this.at !== null, stopping, Boolean(this.asked)].join();
    if (this.acted === key) return;
    this.acted = key;
    const again = this.asked && h("a", { class: "button", href: `#/make/${encodeURIComponent(this.id)}` },
      done ? "Make another like it" : "Change it and try again");
    this.actions.replaceChildren(...[
      this.told,
      !OVER.includes(job.status) && this.at === null && h("button", { type: "button",
        disabled: stopping, onclick: () => this.stop() }, icon("stop"), stopping ? "Stopping…" : "Stop"),
      OVER.includes(job.status) && again,
      done && h("button", { type: "button", onclick: () => copy(location.href, this.told) }, icon("copy"), "Copy link"),
      done && h("a", { class: "button primary", href: api.output(this.id), download: `${this.id}.mp4` },
        icon("down"), "Download"),
    ].filter(Boolean));
  }

  tell(job) {
    const doubts = job.segments.filter((one) => one.generation?.in_doubt);
    const why = ending(job);
    const remarks = job.warnings.map((one) => `${sentence(one.message)}.`);
    const end = job.status === "completed" ? this.history.events.at(-1)?.data : null;
    say(this.notes,
      ...(why ? [h("p", { class: job.status === "failed" ? "error" : "" }, icon("alert"), why)] : []),
      ...job.problems.map((one) => h("p", { class: "error" }, icon("alert"),
        one.field ? h("strong", {}, `${fieldName(one.field)}. `) : "", wording(one))),
      ...doubts.map((one) => doubt(this.id, one)),
      ...downgrades(job.downgrades).map((words) => h("p", { class: "warning" }, icon("alert"), words)),
      ...remarks.map((words) => h("p", { class: "remark" }, words)));
    const verdict = end?.verdict;
    this.facts.textContent = verdict ? [`${verdict.width} × ${verdict.height}`, seconds(verdict.duration_s),
      bytes(verdict.bytes), end.cost && `${end.cost} ${end.currency}`].filter(Boolean).join(" · ") : "";
  }

  // The film; before that the first segment that is drawn; before that the frame that it will have.
  show(job) {
    const film = job.status === "completed" ? job.sha256 : "";
    const first = job.segments.find((one) => one.status === "rendered");
    const shown = film || (first ? `${first.index} ${first.attempts}` : `${job.status} ${job.segments.length}`);
    if (shown === this.shown) return;
    this.shown = shown;
    if (film) this.player.replaceChildren(finished(this.id));
    else if (first) this.player.replaceChildren(...early(this.id, first, job.segments.length));
    else this.player.replaceChildren(...this.waiting(job));
  }

  waiting(job) {
    const over = OVER.includes(job.status);
    const planned = this.plan ? job.segments.length : 0;
    const words = over ? `There is no film: it was ${job.status === "cancelled" ? "stopped" : job.status}.`
      : planned ? "So it will look. The first segment plays here as soon as it is drawn." : "It is being planned.";
    const n = planned ? Math.min(this.plan.frames - 1, Math.round(this.plan.fps * 1.5)) : 0;
    return [h("div", { class: "waiting" },
      planned > 0 && h("img", { src: api.still(this.id, n, STILL_PX), alt: "A frame as the film will have it",
        onerror: (event) => event.target.remove() }),
      h("p", {}, !over && h("span", { class: "spin" }), words))];
  }
}

function finished(id) {
  return h("video", { src: api.output(id), poster: api.thumbnail(id), controls: true, playsInline: true,
    preload: "metadata", "aria-label": "The film" });
}

function early(id, segment, count) {
  const clip = h("video", { src: api.body(id, segment.index), loop: true, playsInline: true,
    autoplay: !calm(), controls: calm(), muted: true, "aria-label": `Segment ${segment.index + 1}` });
  return [clip, h("span", { class: "badge" }, `Segment ${segment.index + 1} of ${count}`)];
}

// A create that may have been made and billed: only a person can say.
function doubt(id, segment) {
  const command = `pytoon settle ${id} ${segment.index + 1} --give-up`;
  const told = h("span", { role: "status" });
  const handle = segment.generation.handle;
  return h("div", { class: "doubt" },
    h("p", {}, h("strong", {}, `Segment ${segment.index + 1} waits for your word.`),
      ` ${segment.generation.engine} was asked for it${handle ? ` (${handle})` : ""}, and nobody knows what became of that. `,
      "It may be billed, so it is not asked again. Look at its service; then say"),
    h("p", { class: "command" }, h("code", {}, command),
      h("button", { type: "button", class: "plain icon", "aria-label": "Copy the command",
        onclick: () => copy(command, told) }, icon("copy")), told),
    h("p", { class: "soft" }, "or, if the work is there, --accept HANDLE instead. Without a word it is composed from your pictures after a while."));
}

function roughly(left) {
  if (left < 10) return "10 s";
  return left < 90 ? `${Math.ceil(left / 10) * 10} s` : `${Math.round(left / 60)} min`;
}
