// Elements without a framework.  Text is always text: nothing here reads markup from data.

const SVG = "http://www.w3.org/2000/svg";

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined
    && child !== false));
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const ICONS = {
  alert: "M12 8v5M12 16.5v.01M10.3 3.9 2.4 17.6A2 2 0 0 0 4.1 20.6h15.8a2 2 0 0 0 1.7-3L13.7 3.9a2 2 0 0 0-3.4 0z",
  back: "M15 5l-7 7 7 7",
  check: "M5 12.5l4.5 4.5L19 7.5",
  copy: "M9 9h10v11H9zM5 15V4h10",
  down: "M12 4v12M6.5 11l5.5 5.5L17.5 11M5 20h14",
  eye: "M2 12s3.6-6.5 10-6.5S22 12 22 12s-3.6 6.5-10 6.5S2 12 2 12zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
  film: "M5 4h14v16H5zM9 4v16M15 4v16M5 9h4M5 15h4M15 9h4M15 15h4",
  forth: "M9 5l7 7-7 7",
  key: "M15 13a5 5 0 1 0-4.6-3L3 17.4V21h3.6v-2.4H9v-2.4h1.8l1.6-1.6a5 5 0 0 0 2.6.4zM16 8v.01",
  left: "M19 12H5M11 6l-6 6 6 6",
  mic: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM6 11a6 6 0 0 0 12 0M12 17v4",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z",
  music: "M9 18V6l11-2v12M9 18a3 3 0 1 1-6 0 3 3 0 0 1 6 0zM20 16a3 3 0 1 1-6 0 3 3 0 0 1 6 0z",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5v.01",
  plus: "M12 5v14M5 12h14",
  stop: "M7 7h10v10H7z",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4",
  type: "M5 7V5h14v2M12 5v14M9 19h6",
  x: "M6 6l12 12M18 6L6 18",
};

export function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", class: "i", "aria-hidden": "true" },
    svg("path", { d: ICONS[name] }));
}

export function seconds(value) {
  return `${Number(value.toFixed(value < 10 ? 1 : 0))} s`;
}

export function clock(iso) {
  const when = new Date(iso);
  if (Number.isNaN(when.getTime())) return "";
  const today = when.toDateString() === new Date().toDateString();
  return when.toLocaleString([], today
    ? { hour: "2-digit", minute: "2-digit" }
    : { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
}

export function moment(iso) {
  const when = new Date(iso);
  return Number.isNaN(when.getTime()) ? "" : when.toLocaleTimeString([], {
    hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

export function bytes(count) {
  if (count >= 1e6) return `${Number((count / 1e6).toFixed(1))} MB`;
  return `${Math.max(1, Math.round(count / 1e3))} kB`;
}

export function many(count, one, several = `${one}s`) {
  return `${count} ${count === 1 ? one : several}`;
}

// The server's sentences begin small, since programs quote them.
export function sentence(text) {
  return text ? text[0].toUpperCase() + text.slice(1) : text;
}

export function later(action, wait) {
  let timer = 0;
  const call = (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...given), wait);
  };
  call.cancel = () => clearTimeout(timer);
  return call;
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// Says something in a live region once: the same words again would be read aloud again.
export function say(region, ...parts) {
  const told = parts.map((part) => part.outerHTML ?? part).join("\n");
  if (region.dataset.told === told) return;
  region.dataset.told = told;
  region.replaceChildren(...parts);
}

// What is kept in this browser alone.  One that keeps nothing forgets it with the page.
export const kept = {
  get(name) {
    try {
      return JSON.parse(localStorage.getItem(name));
    } catch {
      return null;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(name, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  },
};

// Writes a text to the clipboard; without one (a page that is not secure has none) it is shown.
export async function copy(text, told) {
  try {
    await navigator.clipboard.writeText(text);
    told.replaceChildren("Copied");
  } catch {
    const field = h("input", { type: "text", readOnly: true, value: text, "aria-label": "To copy" });
    told.replaceChildren(field);
    field.select();
  }
}
