// The gateway's REST addresses.  A failure is a Problem with the server's own words.

const ROOT = "/api/v1";
export const RETRY_MS = 2500;
const TYPES = [
  "render_requested", "render_rejected", "render_planned", "segment_requested",
  "segment_rendered", "segment_failed", "segment_timed_out", "rung_descended",
  "generation_intended", "generation_submitted", "generation_settled", "soundtrack_mixed",
  "assembly_requested", "render_completed", "assembly_failed", "render_cancel_requested",
  "render_cancelled", "render_failed", "foreign",
];

export class Problem extends Error {
  constructor(status, told) {
    super(told.detail || `The server answered ${status}.`);
    this.status = status;
    this.problems = told.problems || [];
  }
}

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(ROOT + path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "The server does not answer. Start it again with `pytoon up`; this page goes on by itself." });
  }
  if (response.status === 401 && path !== "/session") {
    await askForKey();
    return call(path, options);
  }
  if (!response.ok) {
    throw new Problem(response.status, await response.json().catch(() => ({})));
  }
  return response.status === 204 ? null : response.json();
}

let asking = null;

// One dialog, however many requests wait for it.
function askForKey() {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("key");
    const form = dialog.querySelector("form");
    const error = document.getElementById("key-error");
    form.onsubmit = async (event) => {
      event.preventDefault();
      try {
        await call("/session", { method: "POST", headers: { "X-API-Key": form.key.value } });
      } catch (problem) {
        error.textContent = problem.message;
        return;
      }
      form.reset();
      dialog.close();
      asking = null;
      resolve();
    };
    dialog.oncancel = (event) => event.preventDefault();
    dialog.showModal();
  });
  return asking;
}

const json = (body) => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

export const api = {
  presets: () => call("/presets"),
  jobs: (query) => call(`/jobs?${new URLSearchParams(query)}`),
  job: (id, at) => call(`/jobs/${encodeURIComponent(id)}${at ? `?at=${at}` : ""}`),
  events: (id) => call(`/jobs/${encodeURIComponent(id)}/events`),
  submit: (ask) => call("/jobs", json(ask)),
  plan: (ask, signal) => call("/jobs?dry_run=true", { ...json(ask), signal }),
  cancel: (id) => call(`/jobs/${encodeURIComponent(id)}/cancel`, { method: "POST" }),
  body: (id, segment) => `${ROOT}/jobs/${encodeURIComponent(id)}/segments/${segment}/body`,
  output: (id) => `${ROOT}/jobs/${encodeURIComponent(id)}/output`,
  thumbnail: (id) => `${ROOT}/jobs/${encodeURIComponent(id)}/thumbnail`,
  upload(file) {
    const form = new FormData();
    form.append("file", file);
    return call("/assets", { method: "POST", body: form });
  },
  // Follows a job: onEvent for each stored event, onProgress between them, until it has ended.
  // Where the server goes away onLost is told, and onBack once it answers again; what was told
  // already is not told twice.
  follow(id, { onEvent, onProgress, onEnd, onLost, onBack }) {
    let source = null;
    let timer = 0;
    let last = 0;
    function open() {
      source = new EventSource(`${ROOT}/jobs/${encodeURIComponent(id)}/events?after=${last}`);
      for (const type of TYPES) {
        source.addEventListener(type, (event) => {
          last = Math.max(last, Number(event.lastEventId) || 0);
          onEvent(JSON.parse(event.data));
        });
      }
      source.addEventListener("progress", (event) => onProgress(JSON.parse(event.data)));
      source.addEventListener("end", () => { source.close(); onEnd(); });
      source.onopen = () => onBack();
      source.onerror = () => {
        onLost();
        // A browser comes back by itself after a broken stream, but not after a refusal.
        if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, RETRY_MS);
      };
    }
    open();
    return () => { clearTimeout(timer); source.close(); };
  },
};
