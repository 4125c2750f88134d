// Which view is shown: #/make, #/films, #/film/<job id>.

import { RETRY_MS } from "./api.js";
import { h } from "./dom.js";
import { filmsView } from "./films.js";
import { filmView } from "./film.js";
import { makeView } from "./make.js";

const VIEWS = { make: makeView, films: filmsView, film: filmView };
const TITLES = { make: "Make a film", films: "Films", film: "Film" };
const main = document.getElementById("main");
let leave = () => {};
let shown = 0;

async function show() {
  leave();
  leave = () => {};
  const turn = ++shown;
  const [named, id = ""] = location.hash.replace(/^#\//, "").split("/");
  const view = named in VIEWS ? named : "make";
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.dataset.view === view || (view === "film" && link.dataset.view === "films");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${TITLES[view]} · Pytoon`;
  // Each turn has a place of its own: a slow view cannot show itself over a later one.
  const place = h("div", {}, h("p", { class: "loading" }, "Loading…"));
  main.replaceChildren(place);
  try {
    const left = await VIEWS[view](place, decodeURIComponent(id));
    if (turn === shown) leave = left || leave;
    else left?.();
  } catch (problem) {
    if (turn !== shown) return;
    place.replaceChildren(h("div", { class: "notice error", role: "alert" },
      h("p", {}, problem.message),
      problem.status === 404 ? h("a", { href: "#/films" }, "All films") : null));
    if (problem.status !== 0) return;
    const timer = setTimeout(show, RETRY_MS);
    leave = () => clearTimeout(timer);
  }
}

function theme() {
  const root = document.documentElement;
  const kept = localStorage.getItem("theme");
  if (kept) root.dataset.theme = kept;
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
  });
}

theme();
addEventListener("hashchange", async () => {
  await show();
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
});
show();
