// Pictures: dropped anywhere on the page or chosen, sent at once, put in their order.

import { api } from "./api.js";
import { keepThumb, thumbOf } from "./draft.js";
import { h, icon, say } from "./dom.js";

const KINDS = "image/png,image/jpeg,image/webp,image/gif,image/bmp";
const PICTURES_MAX = 20;

async function sent(file) {
  try {
    const { uri } = await api.upload(file);
    await keepThumb(uri, file);
    return { uri };
  } catch (problem) {
    const large = problem.status === 413 ? "too large. " : "";
    return { problem: `${file.name}: ${large}${problem.message}` };
  }
}

export class Pictures {
  constructor(draft, changed) {
    this.draft = draft;
    this.changed = changed;
    this.sending = [];
    this.wrong = [];
    this.problems = new Map();
    this.list = h("ul", { class: "pictures", "aria-label": "Pictures, in their order" });
    this.input = h("input", { type: "file", accept: KINDS, multiple: true, id: "pictures",
      class: "unseen", onchange: () => { this.take([...this.input.files]); this.input.value = ""; } });
    this.zone = h("label", { class: "drop", for: "pictures" }, icon("picture"),
      h("span", {}, h("strong", {}, "Drop pictures here"), " or ", h("u", {}, "choose files")),
      h("small", {}, "PNG, JPEG, WebP, GIF or BMP. A PNG with transparency is cut out."), this.input);
    this.note = h("div", { class: "notes", role: "alert" });
    this.element = h("div", {}, this.zone, this.note, this.list);
    this.cover = h("div", { class: "dropping", "aria-hidden": "true" },
      h("p", {}, icon("picture"), "Drop them anywhere"));
    this.over = 0;
    this.leave = this.listen();
    this.render();
  }

  // The whole window takes what is dropped: a page that opens the picture instead is a trap.
  listen() {
    const bound = new AbortController();
    const files = (event) => event.dataTransfer?.types.includes("Files");
    const on = (name, act) => addEventListener(name, (event) => {
      if (!files(event)) return;
      event.preventDefault();
      act(event);
    }, { signal: bound.signal });
    on("dragenter", () => { this.over += 1; if (this.over === 1) document.body.append(this.cover); });
    on("dragover", (event) => { event.dataTransfer.dropEffect = "copy"; });
    on("dragleave", () => { this.over = Math.max(0, this.over - 1); if (!this.over) this.cover.remove(); });
    on("drop", (event) => { this.over = 0; this.cover.remove(); this.take([...event.dataTransfer.files]); });
    return () => { bound.abort(); this.cover.remove(); };
  }

  async take(files) {
    this.wrong = [];
    const free = PICTURES_MAX - this.draft.pictures.length - this.sending.length;
    const fitting = files.filter((file) => {
      const fits = file.type.startsWith("image/");
      if (!fits) this.wrong.push(`${file.name} is not a picture. Music and voice have a place of their own below.`);
      return fits;
    });
    if (fitting.length > free) this.wrong.push(`A film takes ${PICTURES_MAX} pictures at most; ${fitting.length - free} of these were left out.`);
    const going = fitting.slice(0, free).map((file) => ({ name: file.name, url: URL.createObjectURL(file),
      sent: sent(file) }));
    this.sending.push(...going);
    this.render();
    // All are on their way at once; they come in as they were chosen.
    for (const one of going) {
      const { uri, problem } = await one.sent;
      if (uri) this.draft.pictures.push({ uri, name: one.name });
      else this.wrong.push(problem);
      this.sending.splice(this.sending.indexOf(one), 1);
      URL.revokeObjectURL(one.url);
      this.render();
      this.changed();
    }
  }

  say(words) {
    this.wrong = words;
    this.render();
  }

  move(from, to) {
    const pictures = this.draft.pictures;
    const [picture] = pictures.splice(from, 1);
    if (to >= 0) pictures.splice(to, 0, picture);
    this.problems.clear();
    this.wrong = [];
    this.render();
    this.changed();
    // Whoever came by the keyboard stays where they were.
    const tile = this.list.children[to >= 0 ? to : Math.min(from, pictures.length - 1)];
    (tile?.querySelector(to >= 0 && to < from ? ".before" : ".after, .before, .off") || this.input).focus();
  }

  // Marks what the server said of a picture; told is a map from its place to words.
  mark(told) {
    this.problems = told;
    this.render();
  }

  render() {
    const pictures = this.draft.pictures;
    const tool = (kind, name, shown, act) => h("button", { type: "button", class: `tool ${kind}`,
      "aria-label": name, title: name, onclick: act }, icon(shown));
    this.list.replaceChildren(
      ...pictures.map((picture, at) => {
        const thumb = thumbOf(picture.uri);
        const problem = this.problems.get(at);
        return h("li", { class: problem ? "bad" : "" },
          thumb ? h("img", { src: thumb, alt: picture.name, draggable: false })
            : h("span", { class: "unknown" }, icon("picture"), h("small", {}, picture.name)),
          h("div", { class: "tools" },
            at > 0 && tool("before", `Move ${picture.name} forward`, "back", () => this.move(at, at - 1)),
            at < pictures.length - 1 && tool("after", `Move ${picture.name} back`, "forth", () => this.move(at, at + 1)),
            tool("off", `Remove ${picture.name}`, "x", () => this.move(at, -1))),
          problem && h("span", { class: "flag", title: problem }, icon("alert")));
      }),
      ...this.sending.map((going) => h("li", { class: "sending" }, h("img", { src: going.url, alt: "" }),
        h("span", { class: "spin" }), h("span", { class: "hidden" }, `${going.name} is being sent`))));
    this.list.hidden = !this.list.children.length;
    this.zone.classList.toggle("small", Boolean(this.list.children.length));
    const told = [...this.wrong,
      ...[...this.problems].map(([at, words]) => `${pictures[at]?.name || "A picture"}: ${words}`)];
    say(this.note, ...told.map((words) => h("p", { class: "error" }, words)));
  }
}
