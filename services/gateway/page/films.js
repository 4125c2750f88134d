// The films so far, newest first, a page at a time.

import { api } from "./api.js";
import { clock, h, seconds } from "./dom.js";

const STATES = ["", "requested", "rendering", "assembling", "completed", "failed", "rejected", "cancelled"];

export async function filmsView(main) {
  const list = h("ul", { class: "films" });
  const more = h("button", { type: "button", class: "quiet", hidden: true }, "Show older ones");
  const pick = h("select", { id: "state", onchange: () => start() },
    ...STATES.map((state) => h("option", { value: state }, state || "all")));
  const empty = h("p", { class: "empty", hidden: true });
  const wrong = h("p", { class: "error", role: "alert" });

  async function page(after) {
    const query = { limit: 24 };
    if (after) query.after = after;
    if (pick.value) query.status = pick.value;
    const found = await api.jobs(query);
    list.append(...found.jobs.map(card));
    empty.hidden = list.children.length > 0;
    empty.replaceChildren(...(pick.value
      ? [`No film is ${pick.value}.`]
      : ["There is no film yet. ", h("a", { href: "#/make" }, "Make the first one.")]));
    more.hidden = found.after === null;
    more.onclick = () => told(found.after);
  }

  async function told(after) {
    more.disabled = true;
    wrong.textContent = "";
    await page(after).catch((problem) => { wrong.textContent = problem.message; });
    more.disabled = false;
  }

  async function start() {
    list.replaceChildren();
    await told(null);
  }

  main.replaceChildren(
    h("div", { class: "head" }, h("h1", {}, "Films"),
      h("div", { class: "field inline" }, h("label", { for: "state" }, "State"), pick)),
    wrong, list, empty, more);
  await page(null);
}

function card(job) {
  const picture = job.output
    ? h("img", { src: api.thumbnail(job.job_id), alt: "", loading: "lazy" })
    : h("div", { class: "blank" });
  const title = job.title || job.job_id;
  const going = job.status === "rendering" && job.segments
    ? `${job.segments_rendered} of ${job.segments} segments` : "";
  return h("li", {}, h("a", { href: `#/film/${encodeURIComponent(job.job_id)}` },
    picture,
    h("span", { class: `state ${job.status}` }, job.status),
    h("strong", { dir: "auto", title }, title),
    h("small", {}, [job.preset_id, job.seconds && seconds(job.seconds), going]
      .filter(Boolean).join(" · ")),
    h("small", {}, clock(job.requested))));
}
