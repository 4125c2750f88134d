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
const AWAY = "The server does not answer. Start it again with “pytoon up”: this page goes on by itself.";

class Problem extends Error {
  constructor(status, told) {
    super(told.detail || `The server answered ${status}.`);
    this.status = status;
    this.problems = told.problems || [];
  }

  // Whether the same may do in a moment.
  get passing() {
    return this.status === 0 || this.status === 503 || this.status === 429;
  }
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(ROOT + path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: AWAY });
  }
  if (response.status === 401 && path !== "/session") {
    await askForKey();
    return ask(path, options);
  }
  if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})));
  return response;
}

async function call(path, options) {
  const response = await ask(path, options);
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
        await call("/session", { method: "POST", headers: { "X-API-Key": form.key.value.trim() } });
      } catch (problem) {
        error.textContent = problem.message;
        form.key.setAttribute("aria-invalid", "true");
        form.key.select();
        return;
      }
      form.reset();
      form.key.removeAttribute("aria-invalid");
      error.textContent = "";
      dialog.close();
      asking = null;
      dispatchEvent(new Event("keyed"));
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
const job = (id) => `/jobs/${encodeURIComponent(id)}`;

let presets = null;

export const api = {
  async presets() {
    presets ??= await call("/presets");
    return presets;
  },
  jobs: (query) => call(`/jobs?${new URLSearchParams(query)}`),
  job: (id, at) => call(`${job(id)}${at ? `?at=${at}` : ""}`),
  events: (id) => call(`${job(id)}/events`),
  submit: (request) => call("/jobs", json(request)),
  plan: (request, signal) => call("/jobs?dry_run=true", { ...json(request), signal }),
  frame: async (request, n, signal) =>
    (await ask(`/frames?n=${n}`, { ...json(request), signal })).blob(),
  cancel: (id) => call(`${job(id)}/cancel`, { method: "POST" }),
  forget: () => call("/session", { method: "DELETE" }),
  body: (id, segment) => `${ROOT}${job(id)}/segments/${segment}/body`,
  still: (id, n, width) => `${ROOT}${job(id)}/frames/${n}?width=${width}`,
  output: (id) => `${ROOT}${job(id)}/output`,
  thumbnail: (id) => `${ROOT}${job(id)}/thumbnail`,
  upload(file, signal) {
    const form = new FormData();
    form.append("file", file);
    return call("/assets", { method: "POST", body: form, signal });
  },
  // Follows a job: onEvent for each event stored after `last`, onProgress between them, until it
  // has ended.  Where the server goes away onLost is told, and onBack once it answers again; what
  // was told already is not told twice.
  follow(id, last, { onEvent, onProgress, onEnd, onLost, onBack }) {
    let source = null;
    let timer = 0;
    function open() {
      source = new EventSource(`${ROOT}${job(id)}/events?after=${last}`);
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
