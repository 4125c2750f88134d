// Which view is shown: #/make, #/make/<job id to begin from>, #/films, #/film/<job id>/<step>.

import { RETRY_MS, api } from "./api.js";
import { h, icon, kept } from "./dom.js";
import { filmsView } from "./films.js";
import { filmView } from "./film.js";
import { makeView } from "./make.js";

const VIEWS = { make: makeView, films: filmsView, film: filmView };
const TITLES = { make: "Make a film", films: "Films", film: "Film" };
const SLOW_MS = 250;
const main = document.getElementById("main");
let leave = () => {};
let shown = 0;

async function show() {
  leave();
  leave = () => {};
  const turn = ++shown;
  const [named, ...given] = location.hash.replace(/^#\//, "").split("/").map(decoded);
  const view = Object.hasOwn(VIEWS, named) ? named : "make";
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.dataset.view === view || (view === "film" && link.dataset.view === "films");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${TITLES[view]} · Pytoon`;
  // Each turn has a place of its own: a slow view cannot show itself over a later one.
  const place = h("div", { class: `view ${view}-view` });
  main.replaceChildren(place);
  const slow = setTimeout(() => place.append(
    h("p", { class: "loading", role: "status" }, h("span", { class: "spin" }), "Loading…")), SLOW_MS);
  try {
    const left = await VIEWS[view](place, ...given);
    if (turn === shown) leave = left || leave;
    else left?.();
  } catch (problem) {
    if (turn === shown) failed(place, problem);
  } finally {
    clearTimeout(slow);
  }
}

function failed(place, problem) {
  const gone = problem.status === 404;
  const title = gone ? "There is nothing here" : problem.status === 0 ? "The server is away" : "That did not work";
  place.replaceChildren(h("div", { class: "blank", role: "alert" }, icon("alert"),
    h("h1", {}, title),
    h("p", { class: "soft" }, problem.message),
    gone ? h("a", { class: "button", href: "#/films" }, "All films")
      : h("button", { type: "button", onclick: show }, "Try again")));
  if (!problem.passing) return;
  const timer = setTimeout(show, RETRY_MS);
  leave = () => clearTimeout(timer);
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function theme() {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  function told() {
    button.replaceChildren(icon(dark() ? "sun" : "moon"));
    button.setAttribute("aria-label", dark() ? "Switch to light" : "Switch to dark");
  }
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // Then it holds for this page alone.
    }
    told();
  });
  system.addEventListener("change", told);
  told();
}

function keys() {
  const button = document.getElementById("forget");
  button.hidden = !kept.get("keyed");
  button.prepend(icon("key"));
  addEventListener("keyed", () => { kept.set("keyed", true); button.hidden = false; });
  button.addEventListener("click", async () => {
    try {
      await api.forget();
    } catch (problem) {
      main.prepend(h("p", { class: "error", role: "alert" }, problem.message));
      return;
    }
    kept.set("keyed", false);
    location.reload();
  });
}

theme();
keys();
addEventListener("hashchange", async () => {
  await show();
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
});
show();
