// Elements made from names, properties and children. Text is always text: nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";
const MATHML = "http://www.w3.org/1998/Math/MathML";
// What a formula may be made of; anything else in a message is left out.
const MATH_TAGS = new Set(
  "math mrow mi mn mo ms msup msub msubsup mfrac msqrt mroot mtext mspace mover munder munderover mtable mtr mtd mstyle"
    .split(" "));
const MATH_ATTRIBUTES = new Set(["display", "mathvariant", "stretchy", "fence", "linethickness", "displaystyle"]);

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

export function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

export function svg(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function mathNode(node) {
  if (typeof node === "string") return document.createTextNode(node);
  const [tag, attributes, ...children] = node;
  if (!MATH_TAGS.has(tag)) return document.createTextNode("");
  const element = document.createElementNS(MATHML, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (MATH_ATTRIBUTES.has(name)) element.setAttribute(name, String(value));
  }
  for (const child of children) element.append(mathNode(child));
  return element;
}

// Formulas, one for each target, as the engine sends them: lists of tag, attributes and children.
export function math(formulas, label) {
  return h("div", { class: "math", role: "group", "aria-label": label }, formulas.map((formula) => mathNode(formula)));
}

export function replace(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// A number of so many digits, as the command line writes it.
export function figure(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e-4 && size < 1e6) return String(Number(value.toPrecision(digits)));
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  return `${Number(mantissa)}e${Number(exponent)}`;
}

export function seconds(value) {
  if (value === null || value === undefined) return "";
  return value < 60 ? `${value.toFixed(1)} s` : `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}

// A sentence of the engine as one of the page: it begins with a capital letter and ends with a full stop.
export function sentence(text) {
  if (!text) return "";
  const plain = /^[a-z]+ /.test(text) ? text[0].toUpperCase() + text.slice(1) : text;
  return /[.!?]$/.test(plain) ? plain : `${plain}.`;
}
