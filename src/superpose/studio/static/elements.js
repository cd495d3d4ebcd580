// Small helpers of all modules of the view: elements, numbers, sizes. Texts become text nodes only, never markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Set attributes; those that begin with "on" are listeners, `null` and `false` are left out.
 * @param {Element} element
 * @param {Record<string, any>} attributes
 */
export function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on") && typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === null || value === undefined || value === false) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}

/**
 * An HTML element with attributes and children; strings become text.
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string | null | undefined)} children
 * @returns {any}
 */
export function html(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  for (const child of children) if (child !== null && child !== undefined) element.append(child);
  return element;
}

/**
 * As `html`, an element of SVG.
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string | null | undefined)} children
 * @returns {any}
 */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  setAttributes(element, attributes);
  for (const child of children) if (child !== null && child !== undefined) element.append(child);
  return element;
}

/**
 * A number of a few digits as a person writes it: 0.0123, 1.2 × 10⁻⁷.
 * @param {number | null | undefined} value
 * @param {number} [digits]
 */
export function number(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e6) {
    const text = Number(value.toPrecision(digits));
    return String(text).replace("-", "−");
  }
  const [head, power] = value.toExponential(digits - 1).split("e");
  const raised = String(Number(power)).replace(/[-0-9]/g, (sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]);
  return `${head.replace("-", "−")} × 10${raised}`;
}

/**
 * A measure of error: a share as percent, any other as it is.
 * @param {number | null | undefined} value
 * @param {string} measure
 */
export function errorText(value, measure) {
  if (value === null || value === undefined) return "–";
  return measure === "share of wrong classes" ? `${number(100 * value)} %` : number(value);
}

/**
 * A name of at most so many letters.
 * @param {string} text
 * @param {number} [most]
 */
export function shortened(text, most = 18) {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

/**
 * Round places of an axis between two values, about so many.
 * @param {number} low
 * @param {number} high
 * @param {number} [count]
 */
export function ticks(low, high, count = 5) {
  const raw = (high - low) / count;
  if (!(raw > 0) || !Number.isFinite(raw)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= raw * 0.999) ?? raw;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k += 1) found.push(k * step);
  return found;
}

/**
 * The text of a tick among others: as many decimals as tell them apart.
 * @param {number} value
 * @param {number[]} all
 */
export function tickText(value, all) {
  const step = all.length > 1 ? Math.abs(all[1] - all[0]) : Math.abs(value) || 1;
  if (step >= 1e6 || step < 1e-4) return number(Math.abs(value) < step * 1e-6 ? 0 : value);
  const decimals = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9) + (/[.]?25/.test(String(step)) ? 1 : 0));
  return value.toFixed(Math.min(decimals, 8)).replace("-", "−").replace(/^−0([.]0*)?$/, "0");
}

/**
 * The path of a curve through points; `null` values part it.
 * @param {(number | null)[]} x
 * @param {(number | null)[]} y
 */
export function linePath(x, y) {
  let path = "";
  let down = false;
  for (let k = 0; k < x.length; k += 1) {
    const a = x[k];
    const b = y[k];
    if (a === null || b === null || !Number.isFinite(a) || !Number.isFinite(b)) {
      down = false;
      continue;
    }
    path += `${down ? "L" : "M"}${a.toFixed(2)} ${b.toFixed(2)}`;
    down = true;
  }
  return path;
}

/** @param {string} text the name of a function; its last power is raised */
export function readable(text) {
  return text.replace(/\^(\d)$/, (_, digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]);
}

/** A function that runs once a while has passed since its last call. */
export function debounced(/** @type {Function} */ run, milliseconds = 180) {
  let timer = 0;
  return (/** @type {any[]} */ ...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(...given), milliseconds);
  };
}

/** An id that no other element of the document has. */
export function uniqueId(prefix = "sp") {
  uniqueId.last += 1;
  return `${prefix}-${uniqueId.last}-${Math.random().toString(36).slice(2, 7)}`;
}
uniqueId.last = 0;
