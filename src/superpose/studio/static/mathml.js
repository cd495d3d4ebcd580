// Formulas: trees of MathML elements from Python become elements, names in them texts.

const MATHML = "http://www.w3.org/1998/Math/MathML";
// Elements and attributes that a formula may have; anything else would be a mistake, and is shown as its text.
const ELEMENTS = new Set([
  "math", "mrow", "mi", "mn", "mo", "ms", "mtext", "mfrac", "msup", "msub", "msubsup", "msqrt", "mroot", "mover",
  "munder", "munderover", "mfenced", "mtable", "mtr", "mtd", "mspace", "mstyle", "menclose",
]);
const ATTRIBUTES = new Set(["display", "mathvariant", "stretchy", "fence", "separator", "form", "linethickness"]);

/**
 * The element of a tree `[name, attributes, children...]`.
 * @param {any[]} tree
 * @returns {Element}
 */
export function mathElement(tree) {
  const [name, attributes, ...children] = tree;
  const element = document.createElementNS(MATHML, ELEMENTS.has(name) ? name : "mtext");
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (ATTRIBUTES.has(key)) element.setAttribute(key, String(value));
  }
  // MathML Core writes a single letter in italics and a longer name upright by itself.
  for (const child of children) element.append(typeof child === "string" ? child : mathElement(child));
  return element;
}
