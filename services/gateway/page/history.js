// A film's past: every event that is stored of it, and a way to any of them.

import { calm, h, icon, many, moment } from "./dom.js";
import { happened } from "./telling.js";

export class History {
  // `travel` is called with the event to look back to, or null for now.
  constructor(travel) {
    this.travel = travel;
    this.events = [];
    this.at = null;
    const step = (name, shown, by) => h("button", { type: "button", class: "plain icon", "aria-label": name,
      onclick: () => this.go(Number(this.slider.value) + by) }, icon(shown));
    this.slider = h("input", { type: "range", min: "1", max: "1", value: "1",
      "aria-label": "Step of the film's history", oninput: () => this.go(Number(this.slider.value)) });
    this.back = step("One step back", "back", -1);
    this.forth = step("One step on", "forth", 1);
    this.told = h("p", { class: "soft when" });
    this.log = h("ol", { class: "log", "aria-label": "What happened", tabindex: "0" });
    this.raw = h("pre", { tabindex: "0", "aria-label": "The event as it is stored" });
    this.stored = h("details", { class: "stored", ontoggle: () => this.show() },
      h("summary", {}, "The event as it is stored"), this.raw);
    this.element = h("aside", { class: "history", "aria-labelledby": "history-title" },
      h("h2", { id: "history-title" }, "History"),
      h("div", { class: "time" }, h("div", { class: "steps" }, this.back, this.slider, this.forth), this.told),
      this.log, this.stored);
  }

  add(event) {
    if (this.events.some((known) => known.seq === event.seq)) return false;
    this.events.push(event);
    const step = this.events.length;
    const { what, more, kind } = happened(event);
    this.log.append(h("li", { class: kind },
      h("button", { type: "button", onclick: () => this.go(step) },
        h("span", { class: "what" }, what), h("time", { datetime: event.time }, moment(event.time)),
        more && h("span", { class: "more", dir: "auto" }, more))));
    this.slider.max = String(step);
    if (this.at === null) {
      this.slider.value = String(step);
      this.log.scrollTop = this.log.scrollHeight;
    }
    this.label();
    return true;
  }

  // Looks back to a step, counted from 1; the last one is now.
  go(step) {
    const wanted = Math.min(Math.max(1, step), this.events.length);
    this.at = wanted === this.events.length ? null : wanted;
    this.slider.value = String(wanted);
    this.label();
    this.travel(this.at === null ? null : this.events[wanted - 1]);
  }

  label() {
    const step = this.at ?? this.events.length;
    const event = this.events[step - 1];
    if (!event) return;
    const { what } = happened(event);
    this.slider.setAttribute("aria-valuetext", `Step ${step} of ${this.events.length}: ${what}`);
    this.told.textContent = this.at === null ? `Now, after ${many(this.events.length, "step")}`
      : `Step ${step} of ${this.events.length}, ${moment(event.time)}`;
    this.back.disabled = step <= 1;
    this.forth.disabled = this.at === null;
    [...this.log.children].forEach((row, at) => {
      row.toggleAttribute("data-later", at >= step);
      const button = row.firstChild;
      if (this.at !== null && at === step - 1) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    });
    if (this.at !== null) this.reveal(this.log.children[step - 1]);
    this.show();
  }

  // Within the list alone: the page stays where it is.
  reveal(row) {
    const { log } = this;
    const [top, bottom] = [row.offsetTop - log.offsetTop, row.offsetTop - log.offsetTop + row.offsetHeight];
    if (top >= log.scrollTop && bottom <= log.scrollTop + log.clientHeight) return;
    log.scrollTo({ top: top - log.clientHeight / 2, behavior: calm() ? "instant" : "smooth" });
  }

  show() {
    if (!this.stored.open) return;
    const event = this.events[(this.at ?? this.events.length) - 1];
    this.raw.textContent = event ? JSON.stringify(event, null, 2) : "";
  }
}
