// What happened, and how things stand, in words for people.

import { bytes, many, seconds, sentence } from "./dom.js";

export const OVER = ["completed", "failed", "rejected", "cancelled"];

const STATES = {
  requested: "In line", rendering: "Rendering", assembling: "Joining", completed: "Done",
  failed: "Failed", rejected: "Rejected", cancelling: "Stopping", cancelled: "Stopped",
};
const SEGMENTS = {
  pending: "waits", requested: "drawing", rendered: "done", failed: "tries again",
};
const UNDONE = { pending: "not begun", requested: "not finished", failed: "not finished" };
const REASONS = {
  invalid_request: "the request does not fit it", unsupported: "it cannot do this",
  unavailable: "it does not answer", timeout: "it took too long", out_of_memory: "memory ran out",
  moderated: "its service refused the content", budget: "the budget does not allow it",
  corrupt_output: "what it made was damaged", crashed: "it crashed", crash_loop: "it kept crashing",
  outcome_unknown: "nobody knows what became of it", cancelled: "it was stopped", internal: "an error of ours",
};
const KINDS = { PRODUCT_HERO: "full frame", OVERLAY: "product on a ground", MEME_TEXT: "words first" };
const DEADLINES = { not_taken: "nobody took it", no_progress: "it did not go on", too_long: "it took too long" };

export const stateName = (state) => STATES[state] || sentence(state);
// A segment of a film that has ended goes on no more.
export const segmentName = (state, over) => (over && UNDONE[state]) || SEGMENTS[state] || state;
const reasonOf = (reason) => REASONS[reason] || reason;

const looks = (one) => `${one.still ? "still, " : ""}${KINDS[one.archetype] || one.archetype}`;
const rung = (one) => `${one.engine}, ${looks(one)}`;

// Runs of numbers from 0 as people count: [0, 1, 2, 4] are 1–3, 5.
function counted(indices) {
  const runs = [];
  for (const index of [...indices].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run && index === run[1] + 1) run[1] = index;
    else runs.push([index, index]);
  }
  return runs.map(([low, high]) => (low === high ? `${low + 1}` : `${low + 1}–${high + 1}`)).join(", ");
}

// Steps down the ladder; those of many segments for one reason are one.
export function downgrades(told) {
  const groups = new Map();
  for (const one of told) {
    const key = JSON.stringify([one.from_rung, one.to_rung, one.reason, one.detail, one.segment === null]);
    groups.set(key, [...(groups.get(key) || []), one]);
  }
  return [...groups.values()].map((group) => {
    const [one] = group;
    const [before, after] = [one.from_rung, one.to_rung];
    const instead = before.engine === after.engine ? `${looks(after)} instead of ${looks(before)}`
      : before.archetype === after.archetype ? `by ${after.engine} instead of ${before.engine}`
        : `by ${rung(after)} instead of ${rung(before)}`;
    const what = one.segment === null ? "The film is"
      : group.length === 1 ? `Segment ${one.segment + 1} is`
        : `Segments ${counted(group.map((each) => each.segment))} are`;
    const detail = one.detail ? ` (${one.detail})` : "";
    return `${what} drawn ${instead}: ${reasonOf(one.reason)}${detail}.`;
  });
}

// What the server calls "reason: detail".
export function reasons(told) {
  const [reason, ...detail] = told.split(": ");
  return [reasonOf(reason), ...detail].join(": ");
}

const FIELDS = {
  image_uris: "Picture", hook: "Hook", beats: "Line", cta: "Call to action", prompt: "Direction",
  target_duration_seconds: "Length", music_uri: "Music", voice_uri: "Voice", logo_uri: "Logo",
  font_uri: "Font", preset_id: "Look",
};

export function fieldName(field) {
  const [, name, at] = /^(\w+)(?:\[(\d+)\])?/.exec(field) || [null, field];
  return `${FIELDS[name] || name}${at === undefined ? "" : ` ${Number(at) + 1}`}`;
}

// The server's words for a field, without its name and the command line's.
export function wording({ value, limit, hint, message }) {
  if (!limit) return sentence(message);
  const shown = value && !value.startsWith("sha256:") && value.length < 30 ? `“${value}” must be` : "must be";
  return [sentence(`${shown} ${limit}`), sentence(hint)].filter(Boolean)
    .map((part) => part.replace(/\.?$/, ".")).join(" ");
}

export function ending(job) {
  if (job.status === "cancelled") {
    const why = (job.end || "").replace(/^cancelled:? ?/, "");
    return `It was stopped before it was done${why ? `: ${why}` : ""}.`;
  }
  if (job.status !== "failed") return "";
  const [reason, ...detail] = (job.end || "").split(": ");
  return `It could not be finished: ${detail.join(": ") || reasonOf(reason)}.`;
}

const part = (data) => `Segment ${data.segment + 1}`;
const planned = ({ spec }) => [`${many(spec.segments.length, "segment")}`,
  seconds(spec.frames / spec.fps), spec.captions.length && many(spec.captions.length, "caption")];

// An event: what it is, what there is to add, and its colour.
const EVENTS = {
  render_requested: (data) => ["Asked for", [data.preset_id], ""],
  render_rejected: (data) => ["Rejected", [many(data.problems.length, "problem")], "bad"],
  render_planned: (data) => ["Planned", planned(data), ""],
  segment_requested: (data) => [`${part(data)} begun`,
    [data.rung.engine, data.attempt > 1 && `attempt ${data.attempt}`], ""],
  segment_rendered: (data) => [`${part(data)} drawn`,
    [data.rung.engine, data.reused ? "taken from an earlier film" : seconds(data.elapsed_s)], "good"],
  segment_failed: (data) => [`${part(data)} failed`,
    [data.rung.engine, reasonOf(data.reason), data.detail], "bad"],
  segment_timed_out: (data) => [`${part(data)} timed out`,
    [data.rung?.engine, DEADLINES[data.deadline] || data.deadline], "bad"],
  rung_descended: (data) => [data.segment === null ? "The film steps down" : `${part(data)} steps down`,
    [`to ${rung(data.to_rung)}`, reasonOf(data.reason)], "warn"],
  generation_intended: (data) => [`${part(data)}: ${data.engine} is asked`,
    [data.cost_reserved && `up to ${data.cost_reserved} ${data.currency}`], ""],
  generation_submitted: (data) => [`${part(data)}: ${data.engine} began`, [data.handle], ""],
  generation_settled: (data) => [`${part(data)} settled by a person`,
    [data.handle ? `it is ${data.handle}` : "given up"], ""],
  soundtrack_mixed: (data) => ["Sound mixed",
    [data.lufs !== null && `${data.lufs.toFixed(1)} LUFS`.replace("-", "−"), data.reused && "taken from an earlier film"], "good"],
  assembly_requested: (data) => ["Joining begun", [data.attempt > 1 && `attempt ${data.attempt}`], ""],
  render_completed: (data) => ["Film done", [seconds(data.elapsed_s), bytes(data.output.bytes)], "good"],
  assembly_failed: (data) => ["Joining failed", [reasonOf(data.reason), data.detail], "bad"],
  render_cancel_requested: (data) => ["Asked to stop", [data.why], "warn"],
  render_cancelled: (data) => ["Stopped", [data.why], "warn"],
  render_failed: (data) => ["Failed", [reasonOf(data.reason), data.detail], "bad"],
  foreign: (data) => ["A message that is none of ours", [data.why], "warn"],
};

export function happened({ type, data }) {
  const told = EVENTS[type];
  // A newer server may tell of more than this page knows.
  if (!told) return { what: sentence(type.replaceAll("_", " ")), more: "", kind: "" };
  const [what, more, kind] = told(data);
  return { what, more: more.filter(Boolean).join(" · "), kind };
}
