// Elements without a framework.  Text is always text: nothing here reads markup from data.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function seconds(value) {
  return `${Number(value.toFixed(value < 10 ? 1 : 0))} s`;
}

export function clock(iso) {
  const when = new Date(iso);
  if (Number.isNaN(when.getTime())) return "";
  return when.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

export function later(action, wait) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...given), wait);
  };
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// Says something in a live region once: the same words again would be read aloud again.
export function say(region, ...parts) {
  const told = parts.map((part) => part.textContent ?? part).join("\n");
  if (region.dataset.told === told) return;
  region.dataset.told = told;
  region.replaceChildren(...parts);
}
