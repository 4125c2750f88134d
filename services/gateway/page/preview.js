// The frame as the plan has it: the safe zone, the words in the film's own letters where and as
// large as they will stand, and a sketch of where the picture goes.

import { h, seconds, svg } from "./dom.js";

const WIDTH = 1080;
const HEIGHT = 1920;
const GAP = 24;
const SAFE = { x: 120, y: 288, width: 768, height: 960 };
const STAGE = { x: 8, y: 84, width: 992, height: 1752 };
const LARGEST = 1600;

export class Preview {
  constructor() {
    this.frame = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img",
      "aria-label": "Preview of the frame" });
    this.time = h("input", { type: "range", min: "0", max: "0", value: "0", disabled: true,
      "aria-label": "Moment of the film", oninput: () => this.draw() });
    this.told = h("output", {}, "");
    this.zones = h("input", { type: "checkbox", checked: true, onchange: () => this.draw() });
    this.element = h("div", { class: "preview" },
      h("div", { class: "phone" }, this.frame),
      h("div", { class: "scrub" }, this.time, this.told),
      h("label", { class: "check" }, this.zones, " Show what apps cover"),
      h("p", { class: "hint" },
        "The words stand where the film will have them, in its letters; ground, picture and colours are a sketch."));
    this.plan = null;
    this.pictures = [];
    this.fonts = new Map();
  }

  show(plan, pictures) {
    const fresh = !this.plan || this.plan.frames !== plan.frames;
    this.plan = plan;
    this.pictures = [...pictures];
    this.time.disabled = false;
    this.time.max = String(plan.frames - 1);
    if (fresh) this.time.value = String(Math.min(plan.frames - 1, Math.round(plan.fps)));
    plan.fonts.forEach((font) => this.load(font.artifact.sha256));
    this.draw();
  }

  sketch(pictures) {
    this.plan = null;
    this.pictures = [...pictures];
    this.time.disabled = true;
    this.draw();
  }

  // A font that is not here (a brand's own) leaves the words to the next in the row.
  load(sha256) {
    if (this.fonts.has(sha256)) return;
    const face = new FontFace(`f-${sha256}`, `url(/page/fonts/${sha256})`);
    this.fonts.set(sha256, face);
    document.fonts.add(face);
    face.load().then(() => this.draw(), () => {});
  }

  draw() {
    const parts = [svg("rect", { width: WIDTH, height: HEIGHT, class: "ground" })];
    const at = Number(this.time.value);
    const segment = this.plan?.segments.find((one) => at < one.start + one.frames);
    const index = segment?.asset ?? 0;
    const picture = this.pictures[index];
    if (picture) parts.push(this.picture(picture, this.plan?.assets[index]));
    if (this.plan) {
      this.told.textContent = seconds(at / this.plan.fps);
      parts.push(...this.words(at));
    } else {
      this.told.textContent = "";
    }
    if (this.zones.checked) parts.push(this.zone());
    this.frame.replaceChildren(...parts);
  }

  picture(picture, asset) {
    const overlay = this.plan?.archetype === "OVERLAY";
    if (!overlay && asset && !asset.has_alpha) {
      return svg("image", { href: picture.url, width: WIDTH, height: HEIGHT, class: "picture",
        preserveAspectRatio: "xMidYMid slice" });
    }
    const seen = picture.seen || { x: 0, y: 0, width: 100, height: 100, whole: [100, 100] };
    const box = placed(overlay || !this.plan ? this.safe() : STAGE, this.block(), seen);
    const crop = svg("svg", { ...box, class: "picture",
      viewBox: `${seen.x} ${seen.y} ${seen.width} ${seen.height}` });
    crop.append(svg("image", { href: picture.url, width: seen.whole[0], height: seen.whole[1] }));
    return crop;
  }

  words(at) {
    const cards = this.plan.captions.flatMap((caption) => caption.cards);
    const card = cards.find((one) => one.start <= at && at < one.start + one.frames);
    if (!card) return [];
    const { box, lines, size_px: size } = card;
    const step = box.height / lines.length;
    const families = this.plan.fonts.map((font) => `"f-${font.artifact.sha256}"`);
    return lines.map((line, row) => {
      const text = svg("text", { x: box.x + box.width / 2, y: box.y + step * (row + 0.5),
        "font-size": size, class: "caption", "text-anchor": "middle", direction: direction(line),
        "dominant-baseline": "central" });
      text.style.fontFamily = [...families, "system-ui", "sans-serif"].join(", ");
      text.textContent = line;
      return text;
    });
  }

  safe() {
    return this.plan?.style.safe_box || SAFE;
  }

  // What the words take at any time of the film.
  block() {
    const boxes = (this.plan?.captions || []).flatMap((one) => one.cards.map((card) => card.box));
    if (!boxes.length) return null;
    const x = Math.min(...boxes.map((box) => box.x));
    const y = Math.min(...boxes.map((box) => box.y));
    return { x, y, width: Math.max(...boxes.map((box) => box.x + box.width)) - x,
      height: Math.max(...boxes.map((box) => box.y + box.height)) - y };
  }

  zone() {
    const box = this.safe();
    return svg("path", { class: "zone", "fill-rule": "evenodd",
      d: `M0 0H${WIDTH}V${HEIGHT}H0ZM${box.x} ${box.y}v${box.height}h${box.width}v${-box.height}Z` });
  }

  close() {
    this.pictures = [];
  }
}

// Where a product stands: as large as it goes, above or below the words.
function placed(within, block, seen) {
  const bottom = within.y + within.height;
  let [top, low] = [within.y, bottom];
  if (block) {
    const above = block.y - GAP - within.y;
    const below = bottom - (block.y + block.height + GAP);
    if (above >= below) low = block.y - GAP;
    else top = block.y + block.height + GAP;
  }
  const scale = 0.96 * Math.min(within.width / seen.width, (low - top) / seen.height,
    LARGEST / Math.max(seen.width, seen.height));
  const [width, height] = [Math.max(1, seen.width * scale), Math.max(1, seen.height * scale)];
  return { x: within.x + (within.width - width) / 2, y: (top + low - height) / 2, width, height };
}

function direction(line) {
  return /^[^\p{L}]*[\p{Script=Arabic}\p{Script=Hebrew}]/u.test(line) ? "rtl" : "ltr";
}

// The part of a picture that is not transparent, in its own pixels.
export async function visible(url) {
  const picture = new Image();
  picture.src = url;
  await picture.decode();
  const whole = [picture.naturalWidth, picture.naturalHeight];
  const share = Math.min(1, 256 / Math.max(...whole));
  const [wide, high] = whole.map((length) => Math.max(1, Math.round(length * share)));
  const canvas = h("canvas", { width: wide, height: high });
  const pen = canvas.getContext("2d");
  pen.drawImage(picture, 0, 0, wide, high);
  const codes = pen.getImageData(0, 0, wide, high).data;
  let [left, top, right, bottom] = [wide, high, 0, 0];
  for (let y = 0; y < high; y += 1) {
    for (let x = 0; x < wide; x += 1) {
      if (codes[4 * (y * wide + x) + 3] === 0) continue;
      left = Math.min(left, x); right = Math.max(right, x + 1);
      top = Math.min(top, y); bottom = Math.max(bottom, y + 1);
    }
  }
  if (right <= left) return { x: 0, y: 0, width: whole[0], height: whole[1], whole };
  return { x: left / share, y: top / share, width: (right - left) / share,
    height: (bottom - top) / share, whole };
}
