// Elements. Text always becomes a text node: nothing that the service sends is ever read as HTML.

/**
 * An element: `h("a", { class: "button", href: "/x", on: { click } }, "text", child, [more], null)`.
 * `on` holds listeners, `vars` CSS custom properties, `props` properties such as `value`; false and null leave an attribute out.
 */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

/** Put these children in the place of all others. */
export function replace(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter(isShown));
  return element;
}

function fill(element, { on = {}, vars = {}, props = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on") || name === "style" || name === "srcdoc") throw new Error(`no attribute '${name}' here`);
    if ((name === "href" || name === "src") && !isSafe(String(value))) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const [name, value] of Object.entries(vars)) element.style.setProperty(name, String(value));
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  element.append(...children.flat(Infinity).filter(isShown));
  Object.assign(element, props);
  return element;
}

function isShown(child) {
  return child !== null && child !== undefined && child !== false;
}

/** Only addresses that cannot run script. */
function isSafe(url) {
  return ["http:", "https:", "blob:", "data:image/png;"].some((start) => new URL(url, location.href).href.startsWith(start));
}

let ids = 0;

/** An id that no other element has. */
export function uniqueId(prefix = "id") {
  ids += 1;
  return `${prefix}-${ids}`;
}

/** Calls `action` once, `milliseconds` after the last call. */
export function debounced(milliseconds, action) {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), milliseconds);
  };
}
